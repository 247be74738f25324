"""The statements of a script that compute a loss from tensors of the functional graph."""

import ast

import libcst as cst

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import (
    Class,
    Function,
    Instance,
    Tensor,
    Value,
    is_symbolic,
    options,
)
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Code, Unportable, code_of
from kelbo.clinic.port.model import RESERVED, Model, alone
from kelbo.clinic.port.script import Script, same

# Statements whose bodies are not moved into compute_loss.
_BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With)


class Slice:
    """The statements that compute a loss from tensors of the graph.

    Args:
        script: the script.
        model: the model whose loss it is.
        block: the statements among which they are.
    """

    def __init__(self, script: Script, model: Model, block: list[ast.stmt]):
        self.script, self.model, self.block = script, model, block
        self.moved: dict[ast.stmt, Code] = {}
        self.outside: set[str] = set()
        self.own: dict[str, str] = {}
        self.read: list[Value | None] = []
        self.codes: list[ast.expr] = []

    def need(self, expression: ast.AST) -> None:
        """Include all that an expression is computed from."""
        for node in self._readings(expression):
            value = self.script.program.value(node)
            name = node.id if isinstance(node, ast.Name) else ""
            made = self._computations(name)
            deeper = self._bound_deeper(name)
            if deeper is not None:
                raise Unportable(
                    deeper,
                    f"line {deeper.lineno} computes {name}, a part of the loss, in a block of its "
                    "own; write it out where the loss is.",
                )
            if made:
                for statement in made:
                    if statement not in self.moved:
                        self.moved[statement] = self.script.edits.move(statement)
                        self.need(statement)
            elif is_symbolic(value):
                self.read.append(alone(value) or value)
                known = self.model.hand_over(node, value)
                if not isinstance(node, ast.Name):
                    self.script.edits.respell(node, known)
            elif name == "self":
                self._keep_own(node)
            elif name:
                self.outside.add(name)

    def _bound_deeper(self, name: str) -> ast.stmt | None:
        """What binds a name to a tensor of the graph in a loop, a try, a with or a function."""
        for statement in self.block:
            bound = [
                node
                for node in ast.walk(statement)
                if isinstance(node, ast.Name)
                and node.id == name
                and isinstance(node.ctx, ast.Store)
            ]
            inner = isinstance(statement, _BLOCKS) or (
                isinstance(statement, ast.FunctionDef)
                and any(
                    isinstance(node, ast.Global | ast.Nonlocal) and name in node.names
                    for node in ast.walk(statement)
                )
            )
            if inner and bound and self._is_tensor_somewhere(bound):
                return statement
        return None

    def _is_tensor_somewhere(self, bound: list[ast.Name]) -> bool:
        """Whether one of the statements that bind a name computes with tensors of the graph."""
        return any(
            is_symbolic(self.script.program.value(node))
            for name in bound
            for node in ast.walk(self.script.statement(name))
            if isinstance(node, ast.expr)
        )

    def reads(self, value: Value) -> bool:
        """Whether the loss is computed from a tensor of the graph."""
        return any(same(value, other) for other in self.read)

    def _keep_own(self, node: ast.expr) -> None:
        """Name an attribute of the script's own object, which compute_loss does not see."""
        attribute = self.script.parents[node]
        if not isinstance(attribute, ast.Attribute):
            raise Unportable(node, "the loss is given the object that makes the model.")
        taken = local_names(self.script, node) | {*RESERVED} | self.script.imported
        name = attribute.attr if attribute.attr not in taken else f"own_{attribute.attr}"
        self.own[name] = f"self.{attribute.attr}"
        self.script.edits.respell(attribute, name)

    @property
    def before(self) -> list[str]:
        """The lines that name attributes of the script's own object."""
        return [f"{name} = {code}" for name, code in self.own.items()]

    def computes(self, name: str) -> bool:
        """Whether a name stands for something computed from tensors of the graph."""
        return bool(self._computations(name))

    def _computations(self, name: str) -> list[ast.stmt]:
        made = [s for s in self.block if name and name in assigned(s) and self._computes(s)]
        if made and isinstance(made[0], ast.AugAssign):  # include its start, such as `loss = 0`
            before = self.block[: self.block.index(made[0])]
            starts = [s for s in before if name in assigned(s)][-1:]
            made = [s for s in starts if isinstance(s, ast.Assign) and _is_number(s)] + made
        return made

    def _readings(self, expression: ast.AST) -> list[ast.expr]:
        """The names in an expression, and its attributes that are tensors."""
        found: list[ast.expr] = []
        todo = [expression]
        while todo:
            node = todo.pop(0)
            symbolic = is_symbolic(self.script.program.value(node))
            if isinstance(node, ast.Attribute) and symbolic and dotted(node):
                found.append(node)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.append(node)
            else:
                todo.extend(ast.iter_child_nodes(node))
        return found

    def _computes(self, statement: ast.stmt) -> bool:
        """Whether a statement computes with tensors of the graph by itself, without a layer."""
        value = getattr(statement, "value", None)
        if isinstance(statement, ast.If):
            return all(self._computes(inner) for inner in (*statement.body, *statement.orelse))
        if isinstance(statement, ast.AugAssign):
            return True
        if isinstance(value, ast.Name):
            alias = self.script.program.value(value)
            return is_symbolic(alias) and isinstance(alias, Tensor) and alias.opaque is None
        if not isinstance(value, ast.BinOp | ast.UnaryOp | ast.Call):
            return False
        if not isinstance(value, ast.Call):
            return is_symbolic(self.script.program.value(value))
        calls = [call for call in self.script.program.calls if call.node is value]
        if not any(is_symbolic(call.arguments.all) for call in calls):
            return False
        for call in calls:
            if any(library.is_maths(n) or library.mean_loss(n) for n in call.names):
                return True
            if "functools.partial" in call.names:
                return True
            for option in options(call.function):
                if isinstance(option, Class) and not option.is_layer:
                    return True
                if isinstance(option, Function):
                    result = call.result
                    if isinstance(result, Function) or (
                        isinstance(result, Tensor) and result.opaque is None
                    ):
                        return True
                if isinstance(option, Instance) and not option.is_layer:
                    return True
        return False

    def code(self, expression: ast.expr) -> Code:
        """The code that an expression becomes."""
        self.codes.append(expression)
        return kept(self.script, expression)

    def finish(self, used_by: set[Call]) -> None:
        """Make sure that nothing else uses what is moved."""
        names = self.names
        inside = {n for s in self.moved for n in ast.walk(s)}
        inside |= {n for call in used_by for n in ast.walk(call.node)}
        for expression in self.codes:
            inside |= set(ast.walk(expression))
        scope = self.script.function_around(self.block[0])
        for name in names:
            for mention in self.script.mentions(name):
                here = self.script.function_around(mention) is scope
                if here and mention not in inside:
                    raise Unportable(
                        mention,
                        f"{name} is a part of the loss and used in line {mention.lineno}, too.",
                    )
        if clash := RESERVED & self.outside:
            raise Unportable(
                self.block[0], f"{min(clash)} has the name of an argument of compute_loss."
            )
        self._is_made_in_order(names)
        self._stays_as_it_is(scope)

    def _is_made_in_order(self, names: set[str]) -> None:
        """Make sure that each name is bound where the moved statements read it."""
        bound: set[str] = set()
        for statement in [s for s in self.block if s in self.moved]:
            read = {n.id for n in self._readings(statement) if isinstance(n, ast.Name)}
            if isinstance(statement, ast.AugAssign):
                read |= assigned(statement)
            if not isinstance(statement, ast.If) and (early := (read & names) - bound):
                raise Unportable(statement, f"the first value of {min(early)} cannot be told.")
            bound |= assigned(statement)

    def _stays_as_it_is(self, scope: ast.AST | None) -> None:
        """Make sure that what is read from outside is the same when the loss is computed."""
        last = max((s.lineno for s in self.moved), default=self.block[-1].lineno)
        for node in ast.walk(self.script.source.tree):
            if (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Store)
                and node.id in self.outside
                and node.lineno > last
                and self.script.function_around(node) is scope
            ):
                raise Unportable(node, f"{node.id} is a part of the loss and changes later.")

    @property
    def names(self) -> set[str]:
        """The names that the moved statements bind."""
        return {name for statement in self.moved for name in assigned(statement)}

    @property
    def lines(self) -> list[Code]:
        """The moved statements, in the order of the script."""
        return [self.moved[s] for s in self.block if s in self.moved]

    @property
    def only_here(self) -> bool:
        """Whether the loss uses names that only the function around it knows."""
        return bool(self.own or self.outside & local_names(self.script, self.block[0]))


def _is_number(statement: ast.Assign) -> bool:
    return isinstance(statement.value, ast.Constant)


def assigned(statement: ast.stmt) -> set[str]:
    """The names that a statement binds."""
    if isinstance(statement, ast.If):
        return {name for inner in (*statement.body, *statement.orelse) for name in assigned(inner)}
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return {
        node.id
        for target in targets
        if target is not None and isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign)
        for node in ast.walk(target)
        if isinstance(node, ast.Name)
    }


def local_names(script: Script, node: ast.AST) -> set[str]:
    """The names that the functions around a node bind."""
    names: set[str] = set()
    for outer in script.above(node):
        if isinstance(outer, ast.FunctionDef):
            for inner in ast.walk(outer):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    names.add(inner.id)
                elif isinstance(inner, ast.arg):
                    names.add(inner.arg)
                elif isinstance(inner, ast.FunctionDef | ast.ClassDef) and inner is not outer:
                    names.add(inner.name)
    return names


def kept(script: Script, expression: ast.expr) -> Code:
    """The code that an expression becomes."""
    kept = {"code": ""}

    def keep(node: cst.BaseExpression) -> cst.BaseExpression:
        kept["code"] = code_of(node.with_changes(lpar=[], rpar=[]))
        return node

    script.edits.change(expression, keep)
    return lambda: kept["code"]
