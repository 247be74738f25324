"""The strings of a script with which a file name ends, through variables, calls and attributes."""

import ast
from collections.abc import Iterator

import libcst as cst

from kelbo.clinic.doctor import strings
from kelbo.clinic.doctor.values import Function, known_names, options
from kelbo.clinic.port.script import Script

# How many names, calls and operators a string may pass through.
_MOST = 12


def ends_of(script: Script, path: ast.expr, more: int = _MOST) -> Iterator[ast.expr]:
    """The strings and f-strings with which a path ends; nothing for what cannot be told.

    Args:
        script: the script.
        path: the expression of the path.
        more: how many names, calls and operators it may pass through.
    """
    if isinstance(path, ast.JoinedStr | ast.Constant):
        yield path
        return
    for source in _sources(script, path) if more else ():
        yield from ends_of(script, source, more - 1)


def text_of(end: ast.expr) -> str:
    """The text with which a string or an f-string ends."""
    last = end.values[-1] if isinstance(end, ast.JoinedStr) and end.values else end
    value = last.value if isinstance(last, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def respell_end(script: Script, end: ast.expr, before: str, after: str) -> None:
    """Give a string or an f-string another end."""
    if not isinstance(end, ast.JoinedStr):
        head, _, quote = script.code(end).rpartition(before)
        script.edits.respell(end, f"{head}{after}{quote}")
        return

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        if isinstance(node, cst.ConcatenatedString):
            return node.with_changes(right=change(node.right))
        if isinstance(node, cst.SimpleString):
            head, _, quote = node.value.rpartition(before)
            return node.with_changes(value=f"{head}{after}{quote}")
        parts = cst.ensure_type(node, cst.FormattedString).parts
        last = cst.ensure_type(parts[-1], cst.FormattedStringText)
        last = last.with_changes(value=last.value.removesuffix(before) + after)
        return node.with_changes(parts=[*parts[:-1], last])

    script.edits.change(end, change)


def _sources(script: Script, path: ast.expr) -> Iterator[ast.expr]:
    """The expressions with whose text an expression ends."""
    if isinstance(path, ast.BinOp):
        yield path.left if isinstance(path.op, ast.Mod) else path.right
    elif isinstance(path, ast.IfExp):
        yield from (path.body, path.orelse)
    elif isinstance(path, ast.NamedExpr):
        yield path.value
    elif isinstance(path, ast.Call):
        yield from _of_call(script, path)
    elif isinstance(path, ast.Name):
        yield from _of_name(script, path)
    elif isinstance(path, ast.Attribute):
        for target, value in _bindings(script):
            if isinstance(target, ast.Attribute) and target.attr == path.attr:
                yield value


def _of_call(script: Script, call: ast.Call) -> Iterator[ast.expr]:
    function = script.program.value(call.func)
    names = known_names(function)
    if names & {*strings.JOINS, *strings.PATHS, *strings.SAME}:
        yield from call.args[-1:]
    for option in options(function):
        if isinstance(option, Function):
            for node in ast.walk(option.node):
                if isinstance(node, ast.Return) and node.value is not None:
                    if script.function_around(node) is option.node:
                        yield node.value
    if isinstance(call.func, ast.Attribute) and not names:
        method = call.func.attr
        if method == "format" or method in strings.SAME_METHODS:
            yield call.func.value
        elif method in ("join", "joinpath", "with_name", "with_suffix"):
            yield from call.args[-1:]


def _of_name(script: Script, name: ast.Name) -> Iterator[ast.expr]:
    around = script.function_around(name)
    here = [
        value
        for target, value in _bindings(script)
        if isinstance(target, ast.Name)
        and target.id == name.id
        and script.function_around(target) is around
    ]
    if here or around is None:
        yield from here
        return
    spec = around.args if isinstance(around, ast.FunctionDef | ast.Lambda) else None
    if spec is not None and name.id in [a.arg for a in (*spec.args, *spec.kwonlyargs)]:
        yield from _of_argument(script, around, name.id)
        return
    for target, value in _bindings(script):
        outside = script.function_around(target) in (None, *script.above(around))
        if isinstance(target, ast.Name) and target.id == name.id and outside:
            yield value


def _of_argument(script: Script, function: ast.AST, name: str) -> Iterator[ast.expr]:
    """What the calls of a function give it for an argument, and the default."""
    seen: set[ast.expr] = set()
    for call in script.program.calls:
        for option in options(call.function):
            if not isinstance(option, Function) or option.node is not function:
                continue
            place = option.parameters.index(name) - (option.owner is not None)
            given = [k.value for k in call.node.keywords if k.arg == name]
            given += call.node.args[place : place + 1] if place >= 0 else []
            yield from (value for value in given if value not in seen)
            seen.update(given)
    spec = function.args  # type: ignore[attr-defined]
    defaults = zip(reversed(spec.args), reversed(spec.defaults), strict=False)
    only = zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
    for argument, default in (*defaults, *only):
        if argument.arg == name and default is not None:
            yield default


def _bindings(script: Script) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The names and attributes that the script assigns, each with what it assigns."""
    for node in ast.walk(script.source.tree):
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign) and node.value is not None:
            yield node.target, node.value
