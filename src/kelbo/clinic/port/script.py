"""A script to be ported: what the doctor read in it, and the planned changes."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kelbo.clinic.doctor.interpreter import read
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.source import Source
from kelbo.clinic.doctor.values import Function, Instance, Tensor, Value, known_names, options
from kelbo.clinic.port.edits import Edits, Unportable
from kelbo.clinic.port.formula import Formula

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Left:
    """Something that is left as it was.

    Args:
        line: its line in the original, from 1.
        reason: why, in one sentence.
        cell: in a notebook, the number of the code cell, from 1; lines are then counted in it.
    """

    line: int
    reason: str
    cell: int | None = None


class Script:
    """A script, its reading and its edits.

    Args:
        source: the script.
    """

    def __init__(self, source: Source):
        self.source = source
        self.program = read(source.tree)
        self.edits = Edits(source.text)
        self.left: list[Left] = []
        # The calls that draw noise and are ported, or listed.
        self.seeded: set[ast.AST] = set()
        # Whether a training step sums up what layers add, which then stays as it is.
        self.adds_losses_itself = False
        self.formulas: list[Formula | None] = []
        self.parents = {
            child: node for node in ast.walk(source.tree) for child in ast.iter_child_nodes(node)
        }
        self.assigned = assigned_names(source.tree)
        self.imported = imported_names(source.tree)
        self.bound = self.assigned | self.imported
        self.ops = "keras.ops" if self._is_other("ops", "keras.ops") else "ops"

    def _is_other(self, name: str, library: str) -> bool:
        """Whether the script uses a name for something other than this module."""
        values = [
            self.program.value(node)
            for node in ast.walk(self.source.tree)
            if isinstance(node, ast.Name) and node.id == name
        ]
        return name in self.bound and not all(
            getattr(value, "name", "") == library for value in values
        )

    @property
    def guarded(self) -> int | None:
        """The line where the script first checks which Keras it runs on; None if it does not."""
        return next(
            (
                reading.node.lineno
                for reading in self.program.readings
                for name in known_names(reading.value)
                if reading.guarded and name.split(".")[0] in ("keras", "tensorflow")
            ),
            None,
        )

    def free_name(self, *names: str) -> str:
        """The first of some names that the script does not use, or the last with an underscore."""
        return next((name for name in names if name not in self.bound), f"{names[-1]}_")

    def leave(self, node: ast.AST, reason: str) -> None:
        """Leave something as it is; mark it and note it."""
        line = getattr(node, "lineno", 1)
        if Left(line, reason) not in self.left:
            self.left.append(Left(line, reason))
            self.edits.mark(self.statement(node), f"left as it was: {reason}")

    def is_left(self, node: ast.AST) -> bool:
        """Whether a node stands in something that is left as it is."""
        left = {one.line for one in self.left}
        around = (node, *self.above(node))
        return any(isinstance(one, ast.stmt) and one.lineno in left for one in around)

    @contextmanager
    def attempt(self, node: ast.AST) -> Iterator[None]:
        """Plan changes that are made all or not at all.

        Args:
            node: what to leave as it is, and mark, if they cannot be made.
        """
        before = self.edits.saved()
        try:
            yield
        except Unportable as problem:
            self.edits.restore(before)
            self.leave(node, problem.reason)

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The syntax around a node, from the inside out."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that contains a node; the node itself if it is a statement."""
        for outer in (node, *self.above(node)):
            if isinstance(outer, ast.stmt):
                return outer
        return self.source.tree.body[0]

    def function_around(self, node: ast.AST) -> ast.AST | None:
        """The function or lambda that contains a node; None at the level of the module."""
        return next((outer for outer in self.above(node) if isinstance(outer, _FUNCTIONS)), None)

    def block(self, node: ast.AST) -> list[ast.stmt]:
        """The statements among which the statement of a node stands."""
        statement = self.statement(node)
        parent = self.parents[statement]
        for name in ("body", "orelse", "finalbody"):
            block = getattr(parent, name, None)
            if isinstance(block, list) and statement in block:
                return block
        raise Unportable(node, "it stands where its neighbours cannot be told.")

    def top(self, node: ast.AST) -> ast.stmt:
        """The statement of the module that contains a node."""
        return [outer for outer in (node, *self.above(node)) if isinstance(outer, ast.stmt)][-1]

    def made(self, node: ast.expr | None) -> ast.expr | None:
        """An expression; for a name that is bound once, the expression that it is bound to."""
        if not isinstance(node, ast.Name):
            return node
        bound = [
            other
            for other in ast.walk(self.source.tree)
            if isinstance(other, ast.Name)
            and isinstance(other.ctx, ast.Store)
            and other.id == node.id
            and self.function_around(other) in (self.function_around(node), None)
        ]
        statement = self.parents[bound[0]] if len(bound) == 1 else None
        return statement.value if isinstance(statement, ast.Assign) else node

    def code(self, node: ast.AST) -> str:
        """The source of a node."""
        return ast.get_source_segment(self.source.text, node) or ""

    def calls_in(self, node: ast.AST) -> list[Call]:
        """The calls inside a node, each once."""
        inside = set(ast.walk(node))
        return list(
            {call.node: call for call in self.program.calls if call.node in inside}.values()
        )

    def mentions(self, name: str) -> list[ast.Name]:
        """The places where a name is read."""
        return [
            node
            for node in ast.walk(self.source.tree)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        ]


def argument(call: ast.Call, position: int | None, *names: str) -> ast.expr | None:
    """The expression that a call is given at a position or as a keyword argument."""
    for keyword in call.keywords:
        if keyword.arg in names:
            return keyword.value
    if position is not None and position < len(call.args):
        return call.args[position]
    return None


def function_of(value: Value) -> Function | None:
    """The function of the script that a value is; None unless it is exactly one."""
    found = options(value)
    return found[0] if len(found) == 1 and isinstance(found[0], Function) else None


def model_of(value: Value) -> Instance | None:
    """The functional model that a value is; None unless it is exactly one."""
    found = [one for one in options(value) if isinstance(one, Instance)]
    return found[0] if len(found) == 1 and found[0].outputs is not None else None


def same(first: Value | None, second: Value | None) -> bool:
    """Whether two values are one tensor."""
    return (
        isinstance(first, Tensor)
        and isinstance(second, Tensor)
        and first.opaque is not None
        and first.opaque == second.opaque
    )


def assigned_names(tree: ast.Module) -> set[str]:
    """The names that a script gives to its own variables, functions and arguments."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


def imported_names(tree: ast.Module) -> set[str]:
    """The names that a script binds with imports."""
    return {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def is_none(node: ast.expr) -> bool:
    """Whether an expression is None, written out."""
    return isinstance(node, ast.Constant) and node.value is None
