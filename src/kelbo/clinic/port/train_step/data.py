"""How a train_step takes its data apart, and what Keras calls the parts: x, y, sample_weight."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.script import Script

_PARTS = ("x", "y", "sample_weight")
_UNPACKING = "unpack_x_y_sample_weight"


@dataclass
class Data:
    """The data of a step.

    Args:
        script: the script.
        name: the argument of the step.
        parts: the names, or tuples of names, that the step gives to x, y and sample_weight.
    """

    script: Script
    name: str
    parts: list[tuple[ast.expr, str]] = field(default_factory=list)
    is_x: bool = False

    def takes(self, node: ast.stmt) -> bool:
        """Whether a statement only takes the data apart; then its names are noted."""
        if isinstance(node, ast.If):
            return self._takes_if_tuple(node)
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            return False
        (target,), value = node.targets, node.value
        if isinstance(value, ast.IfExp) and self._asks(value.test):
            if self._place(value.body) == 0 and self._is_whole(value.orelse):
                return self._note(target, "x")
            return False
        if (place := self._place(value)) is not None:
            return self._note(target, _PARTS[place])
        if self.is_x and _is_name(value, self.name):
            return self._note(target, "x")
        if self._is_whole(value) or self._is_unpacked(value):
            if isinstance(target, ast.Name):
                return self._note(target, "x") if self._is_whole(value) else False
            if isinstance(target, ast.Tuple) and len(target.elts) <= len(_PARTS):
                pairs = zip(target.elts, _PARTS, strict=False)
                return all([self._note(one, part) for one, part in pairs])
        return False

    def _takes_if_tuple(self, node: ast.If) -> bool:
        """Take `if isinstance(data, tuple): data = data[0]`, with or without an else."""
        found = []
        for block in (node.body, node.orelse):
            alone = block[0] if len(block) == 1 else None
            if isinstance(alone, ast.Assign) and len(alone.targets) == 1:
                found.append((alone.targets[0], alone.value))
            elif block:
                return False
        if not self._asks(node.test) or not found or self._first(*found[0]) is None:
            return False
        name = self._first(*found[0])
        if len(found) == 1 and name != self.name:
            return False
        if len(found) == 2:
            target, value = found[1]
            if not isinstance(target, ast.Name) or target.id != name or not self._is_whole(value):
                return False
        if name == self.name:
            self.is_x = True
            return True
        return self._note(ast.Name(name or "", ast.Store()), "x")

    def _first(self, target: ast.expr, value: ast.expr) -> str | None:
        """The name that gets x in `data = data[0]` and `data, _ = data`."""
        if isinstance(target, ast.Name) and self._place(value) == 0:
            return target.id
        if isinstance(target, ast.Tuple) and self._is_whole(value):
            first, *others = target.elts
            unused = all(isinstance(o, ast.Name) and o.id.startswith("_") for o in others)
            return first.id if isinstance(first, ast.Name) and unused else None
        return None

    def _asks(self, test: ast.expr) -> bool:
        """Whether a condition is `isinstance(data, tuple)`."""
        return (
            isinstance(test, ast.Call)
            and isinstance(test.func, ast.Name)
            and test.func.id == "isinstance"
            and len(test.args) == 2
            and self._is_whole(test.args[0])
            and {"tuple", "list"}
            >= {n.id for n in ast.walk(test.args[1]) if isinstance(n, ast.Name)}
        )

    def _is_whole(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.name and not self.is_x

    def _place(self, node: ast.expr) -> int | None:
        """The place in `data[0]` and the like."""
        if isinstance(node, ast.Subscript) and self._is_whole(node.value):
            place = node.slice.value if isinstance(node.slice, ast.Constant) else None
            return place if isinstance(place, int) and place in range(len(_PARTS)) else None
        return None

    def _is_unpacked(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and dotted(node.func).split(".")[-1] == _UNPACKING
            and len(node.args) == 1
            and self._is_whole(node.args[0])
        )

    def _note(self, target: ast.expr, part: str) -> bool:
        names = [target] if isinstance(target, ast.Name) else getattr(target, "elts", [None])
        if not all(isinstance(name, ast.Name) for name in names):
            raise Unportable(target, f"line {target.lineno} takes the data apart in two levels.")
        if not (isinstance(target, ast.Name) and target.id.startswith("_")):
            self.parts.append((target, part))
        return True

    def settle(self, lines: Sequence[ast.AST]) -> None:
        """Note what the data are as a whole; call this after the last statement.

        Args:
            lines: what computes with the data.
        """
        mentioned = [
            node
            for line in lines
            for node in ast.walk(line)
            if isinstance(node, ast.Name) and node.id == self.name
        ]
        taken = any(_is_name(n, self.name) for target, _ in self.parts for n in ast.walk(target))
        if not mentioned or taken:
            return
        if self.parts and not self.is_x:
            line = mentioned[0].lineno
            raise Unportable(mentioned[0], f"line {line} uses {self.name} beside its parts.")
        for node in mentioned:
            if isinstance(self.script.parents[node], ast.Subscript) and not self.is_x:
                raise Unportable(node, f"line {node.lineno} takes a part of {self.name}.")
        self.parts.append((ast.Name(self.name, ast.Store()), "x"))


def _is_name(node: ast.AST, name: str = "") -> bool:
    return isinstance(node, ast.Name) and (not name or node.id == name)
