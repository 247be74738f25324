"""What functions read outside becomes their arguments."""

import ast
from collections.abc import Callable, Sequence

import libcst as cst

from kelbo.doctor.program import SymbolicRead
from kelbo.port.edits import with_argument
from kelbo.port.model import Model
from kelbo.port.script import Script, function_of


def pass_on(
    script: Script, model: Model, reads: Sequence[SymbolicRead], but: ast.AST | None = None
) -> tuple[list[str], set[ast.AST]]:
    """Make arguments of what the functions of a step read outside.

    Args:
        script: the script.
        model: which hands it over.
        reads: what is read.
        but: the function that has it already.

    Returns:
        The names of the new arguments, and the functions that have them.
    """
    names: list[str] = []
    seen: set[ast.AST] = set()
    for read in reads:
        if read.node in seen:
            continue
        seen.add(read.node)
        known = model.hand_over(read.node, script.program.value(read.node))
        if not isinstance(read.node, ast.Name):
            script.edits.respell(read.node, known)
        names += [known] * (known not in names)
    functions = {read.function for read in reads}
    calls: dict[ast.AST, ast.Call] = {}
    grown = True
    while grown:
        grown = False
        for call in script.program.calls:
            called = function_of(call.function)
            if called is None or called.node not in functions or call.node in calls:
                continue
            around = script.function_around(call.node)
            if around is not None and call.step is not None:
                calls[call.node] = call.node
                grown = True
                functions.add(around)
    model.sort()
    names = [name for name in model.others if name in names]
    for function in functions - {but}:
        _add_parameters(script, function, names)
    for node in calls.values():
        for name in names:
            script.edits.change(node, _adding_argument(f"{name}={name}"))
    return names, functions


def _adding_argument(code: str) -> Callable[[cst.BaseExpression], cst.BaseExpression]:
    return lambda node: with_argument(cst.ensure_type(node, cst.Call), code)


def _add_parameters(script: Script, function: ast.AST, names: list[str]) -> None:
    def change(parameters: cst.Parameters) -> cst.Parameters:
        kept = [p.with_changes(comma=cst.MaybeSentinel.DEFAULT) for p in parameters.params]
        # A default that is a tensor of the graph holds no numbers.
        kept = [
            p.with_changes(default=None, equal=cst.MaybeSentinel.DEFAULT)
            if p.name.value in names
            else p
            for p in kept
        ]
        there = {p.name.value for p in kept}
        added = [cst.Param(cst.Name(name)) for name in names if name not in there]
        # None without a default may stand behind one that has it.
        place = next((n for n, p in enumerate(kept) if p.default is not None), len(kept))
        return parameters.with_changes(params=[*kept[:place], *added, *kept[place:]])

    if isinstance(function, ast.Lambda):
        script.edits.change(
            function,
            lambda node: node.with_changes(params=change(cst.ensure_type(node, cst.Lambda).params)),
        )
    elif isinstance(function, ast.FunctionDef):
        script.edits.adapt(
            function,
            lambda node: node.with_changes(
                params=change(cst.ensure_type(node, cst.FunctionDef).params)
            ),
        )
