"""Functions of compile that a saved model finds again by their registered names."""

import ast
import textwrap

import libcst as cst

from kelbo.clinic.doctor.values import Function
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import code_of, indented
from kelbo.clinic.port.script import Script

REGISTERED = '@keras.saving.register_keras_serializable(package="vae")\n'


def register(script: Script, function: Function, given: ast.expr) -> bool:
    """Register a function; a lambda becomes a definition.

    Args:
        script: the script.
        function: the function that compile is given.
        given: the expression that compile is given.

    Returns:
        Whether a file can name it. It cannot name a method, or what functools.partial or another
        decorator made.
    """
    node = function.node
    if function.owner is not None or isinstance(script.parents[node], ast.ClassDef):
        return False
    if function.partial or any(not _registers(one) for one in getattr(node, "decorator_list", ())):
        return False
    if isinstance(node, ast.Lambda):
        return _define(script, node, given)
    if isinstance(node, ast.FunctionDef) and not node.decorator_list:
        script.edits.adapt(node, _decorated)
    return True


def _registers(decorator: ast.expr) -> bool:
    """Whether a decorator only gives a function its registered name."""
    made = decorator.func if isinstance(decorator, ast.Call) else decorator
    return dotted(made).rpartition(".")[2] == "register_keras_serializable"


def _decorated(statement: cst.CSTNode) -> cst.FunctionDef:
    definition = cst.ensure_type(statement, cst.FunctionDef)
    example = cst.ensure_type(cst.parse_statement(f"{REGISTERED}def f(): ..."), cst.FunctionDef)
    return definition.with_changes(decorators=example.decorators)


def _define(script: Script, node: ast.Lambda, given: ast.expr) -> bool:
    """Turn `loss = lambda y, y_pred: ...` into a function with a name."""
    parent = script.parents[node]
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        (target,) = parent.targets
        if isinstance(target, ast.Name):
            name = target.id
            script.edits.replace(parent, lambda code: _definition_of(name, code))
            return True
    if node is not given:
        return False
    name = script.free_name("vae_loss")
    script.bound.add(name)
    kept = {"code": ""}

    def keep(expression: cst.BaseExpression) -> cst.BaseExpression:
        kept["code"] = code_of(expression)
        return cst.Name(name)

    script.edits.change(node, keep)
    script.edits.insert(script.statement(node), lambda: _definition(name, kept["code"]))
    return True


def _definition_of(name: str, code: str) -> str:
    """The definition that replaces `loss = lambda ...`, with its comments above it."""
    (line,) = cst.parse_module(code).body
    line = cst.ensure_type(line, cst.SimpleStatementLine)
    comment = line.trailing_whitespace.comment
    above = f"{comment.value}\n" if comment is not None else ""
    made = cst.ensure_type(line.body[0], cst.Assign).value
    return above + _definition(name, code_of(made.with_changes(lpar=[], rpar=[])))


def _definition(name: str, code: str) -> str:
    made = cst.ensure_type(cst.parse_expression(f"({code})"), cst.Lambda)
    body = code_of(made.body)
    first, broken, rest = body.partition("\n")
    if broken and not made.body.lpar:
        body = "(\n" + indented(f"{first}\n{textwrap.dedent(rest)}\n") + ")"
    elif broken and rest.rpartition("\n")[2].strip() == ")":
        body = f"{first}\n{textwrap.dedent(rest)}"
    return f"{REGISTERED}def {name}({code_of(made.params)}):\n" + indented(f"return {body}\n")
