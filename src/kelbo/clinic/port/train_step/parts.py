"""The two parts of a step: the lines that call layers, and the lines that compute the loss."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Class, Instance, known_names, options
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.script import Script, function_of
from kelbo.clinic.port.train_step.step import Step, loaded, methods, stored

_LOSSES = ("keras.losses.", "keras.metrics.")


@dataclass
class Parts:
    """A step in two parts.

    Args:
        forward: the lines that call layers or draw noise, and what these need.
        loss: the others.
        outputs: the names of the first part that the second one reads; the reconstruction first.
        whole: the call of the model itself, `self(x)`, if that is what the first part is.
        training: whether the layers are called with training=True.
    """

    forward: list[ast.stmt]
    loss: list[ast.stmt]
    outputs: list[str]
    whole: ast.Call | None
    training: bool


class Layers:
    """What in a model's methods calls layers.

    Args:
        script: the script.
        written: the model's class.
    """

    def __init__(self, script: Script, written: Class):
        self.script = script
        self.methods = {method.name: method for method in methods(written)}
        self.made = dict(self._attributes())

    def _attributes(self) -> Iterator[tuple[str, ast.expr]]:
        """What the class gives its attributes."""
        for method in self.methods.values():
            for node in ast.walk(method):
                if isinstance(node, ast.Assign) and len(node.targets) == 1:
                    owner, _, name = dotted(node.targets[0]).partition(".")
                    if owner == "self" and name:
                        yield name, node.value

    def known(self, attribute: str) -> set[str]:
        """The library names of the class that an attribute is an object of."""
        made = self.made.get(attribute)
        of_class = made.func if isinstance(made, ast.Call) else None
        return known_names(self.script.program.value(of_class)) if of_class else set()

    def calls(self, node: ast.AST) -> Iterator[ast.Call]:
        """The calls of layers, and of functions that call layers or draw noise."""
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and self._is_forward(call, frozenset()):
                yield call

    def reached(self, node: ast.AST) -> set[ast.AST]:
        """The methods of the class and the functions of the script that some syntax calls."""
        found: set[ast.AST] = set()
        todo = [node]
        while todo:
            for call in ast.walk(todo.pop()):
                function = self.function(call) if isinstance(call, ast.Call) else None
                if function is not None and function not in found:
                    found.add(function)
                    todo.append(function)
        return found

    def function(self, call: ast.Call) -> ast.AST | None:
        """The method of the class or the function of the script that is called."""
        owner, _, name = dotted(call.func).partition(".")
        if owner == "self" and name in self.methods:
            return self.methods[name]
        function = function_of(self.script.program.value(call.func))
        return function.node if function is not None else None

    def _is_forward(self, call: ast.Call, above: frozenset[ast.AST]) -> bool:
        name = dotted(call.func)
        owner, _, attribute = name.partition(".")
        value = self.script.program.value(call.func)
        if any(library.noise(known) for known in known_names(value)):
            return True
        function = self.function(call)
        if function is not None:
            inner = above | {function}
            return function not in above and any(
                isinstance(node, ast.Call) and self._is_forward(node, inner)
                for node in ast.walk(function)
            )
        if any(isinstance(option, Instance) for option in options(value)):
            return any(getattr(option, "is_layer", False) for option in options(value))
        if owner != "self" or known_names(value):
            return False
        if not attribute:
            return True
        if attribute.partition(".")[2] in ("update_state", "result") or "loss" in attribute:
            return False
        return not any(known.startswith(_LOSSES) for known in self.known(attribute))


def parts_of(script: Script, step: Step, layers: Layers) -> Parts:
    """Divide a step.

    Raises:
        Unportable: it cannot be divided.
    """
    wanted: set[str] = set()
    forward: list[ast.stmt] = []
    for line in reversed(step.lines):
        if any(layers.calls(line)) or stored(line) & wanted:
            forward.insert(0, line)
            wanted |= loaded(line)
    for line in step.after:
        if line in forward:
            raise Unportable(line, f"line {line.lineno} calls layers after the update.")
    _refuse_untaped(script, step, layers)
    others: list[ast.expr | ast.stmt] = [
        *_rest(step),
        *(line for line in forward if isinstance(line, ast.Expr)),
    ]
    for node in others:
        if any(layers.calls(node)):
            raise Unportable(
                node, f"line {node.lineno} calls a layer; give what it returns a name."
            )
    loss = [line for line in step.lines if line not in forward]
    given = set().union(*map(stored, forward)) if forward else set()
    read = set().union(*map(loaded, loss), *(loaded(n) for n in _rest(step))) & given
    for name in sorted(read | wanted):
        lines = step.assigned(name)
        if len(lines) > 1 and (name in read or any(line in loss for line in lines)):
            raise Unportable(lines[1], f"line {lines[1].lineno} gives {name} another value.")
    _refuse_data_changed_late(step)
    if not forward:
        raise Unportable(step.method, "it calls no layer.")
    whole = _whole(forward, layers)
    if whole is None:
        _refuse_losses(script, step, forward, layers)
    drawn = [line for line in forward if not all(_is_noise(script, c) for c in layers.calls(line))]
    names = [n for line in [*drawn[-1:], *forward] for n in _targets(line) if n in read]
    order = [*dict.fromkeys(names)]
    return Parts(forward, loss, order, whole, _is_training(forward, layers))


def _refuse_data_changed_late(step: Step) -> None:
    """Refuse data that are changed after they were used."""
    names = {name for target, _ in step.data.parts for name in stored(target)}
    used: set[str] = set()
    for line in step.lines:
        if late := stored(line) & names & used:
            raise Unportable(line, f"line {line.lineno} changes {min(late)} after its use.")
        used |= loaded(line)


def _refuse_untaped(script: Script, step: Step, layers: Layers) -> None:
    """Refuse layers and losses outside of the tape, which has no gradient for them."""
    if step.target is None:
        return
    for line in step.lines:
        calls = [call for call in layers.calls(line) if not _is_noise(script, call)]
        if line not in step.taped and (calls or stored(line) & loaded(step.target)):
            raise Unportable(line, f"line {line.lineno} computes outside of the tape.")


def _rest(step: Step) -> list[ast.expr]:
    return [node for node in (step.target, step.returned) if node is not None]


def _targets(line: ast.stmt) -> list[str]:
    """The names that a statement gives values, in order."""
    names = [n for n in ast.walk(line) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return [n.id for n in sorted(names, key=lambda n: (n.lineno, n.col_offset))]


def _whole(forward: list[ast.stmt], layers: Layers) -> ast.Call | None:
    """The call of the model itself, which then must be the only one."""
    found = [call for line in forward for call in layers.calls(line)]
    whole = [call for call in found if dotted(call.func) == "self"]
    if not whole:
        return None
    line = forward[0]
    if len(found) > 1 or len(forward) > 1 or getattr(line, "value", None) is not whole[0]:
        raise Unportable(whole[0], f"line {whole[0].lineno} calls the model beside other layers.")
    return whole[0]


def _refuse_losses(script: Script, step: Step, forward: list[ast.stmt], layers: Layers) -> None:
    """Refuse lines that compute losses and call layers, for what they make is no output."""
    for line in forward:
        for call in ast.walk(line):
            names = known_names(script.program.value(getattr(call, "func", call)))
            if any(name.startswith(_LOSSES) for name in names) and isinstance(call, ast.Call):
                raise Unportable(
                    line,
                    f"line {line.lineno} calls a layer and computes a loss; give what the layer "
                    "returns a name, in a line of its own.",
                )
    given = set().union(*map(stored, forward))
    if step.target is not None and loaded(step.target) & given:
        made = sorted(loaded(step.target) & given)
        raise Unportable(
            step.target,
            f"line {step.target.lineno} trains on {made[0]}, which is made where layers are "
            "called; compute it in a line of its own.",
        )


def _is_training(forward: list[ast.stmt], layers: Layers) -> bool:
    """Whether the layers are called with training=True."""
    found = set()
    for line in forward:
        for call in layers.calls(line):
            if layers.function(call) is None and not _is_noise(layers.script, call):
                word = next((k.value for k in call.keywords if k.arg == "training"), None)
                value = word.value if isinstance(word, ast.Constant) else word
                if value not in (None, False, True):
                    raise Unportable(call, f"line {call.lineno} passes training on.")
                found.add(bool(value))
    if len(found) > 1:
        raise Unportable(forward[0], "only some of its layers are called with training=True.")
    return found == {True}


def _is_noise(script: Script, call: ast.Call) -> bool:
    return any(map(library.noise, known_names(script.program.value(call.func))))


def noises(script: Script, nodes: set[ast.AST]) -> list[Call]:
    """The calls in some functions or statements that draw random numbers."""
    calls = {c.node: c for node in nodes for c in script.calls_in(node)}
    return [call for call in calls.values() if any(map(library.noise, call.names))]
