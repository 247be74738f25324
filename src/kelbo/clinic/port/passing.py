"""Turns what functions read from outside into arguments."""

import ast
from collections.abc import Sequence

import libcst as cst

from kelbo.clinic.doctor.program import SymbolicRead
from kelbo.clinic.port.edits import with_argument
from kelbo.clinic.port.model import Model
from kelbo.clinic.port.script import Script, function_of


def pass_on(
    script: Script, model: Model, reads: Sequence[SymbolicRead], but: ast.AST | None = None
) -> tuple[list[str], set[ast.AST]]:
    """Turn what the functions of a step read from outside into arguments.

    Args:
        script: the script.
        model: the model that hands it over.
        reads: what they read.
        but: a function that has it already.

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
        add_parameters(script, function, names)
    for node in calls.values():
        for name in names:
            add_argument(script, node, f"{name}={name}")
    return names, functions


def add_argument(script: Script, node: ast.Call, code: str) -> None:
    """Give a call one more argument, such as `mu=mu`."""
    script.edits.change(node, lambda call: with_argument(cst.ensure_type(call, cst.Call), code))


def add_parameters(script: Script, function: ast.AST, names: list[str]) -> None:
    """Give a function more arguments."""

    def change(parameters: cst.Parameters) -> cst.Parameters:
        return _with_parameters(parameters, names)

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


def _with_parameters(parameters: cst.Parameters, names: list[str]) -> cst.Parameters:
    """Parameters and some more, without defaults: a tensor as a default holds no numbers.

    The new ones are keyword-only if others have defaults, so that these keep their places.
    """
    kept = [p.with_changes(comma=cst.MaybeSentinel.DEFAULT) for p in parameters.params]
    others = [p for p in kept if p.name.value not in names]
    starred = isinstance(parameters.star_arg, cst.Param) or bool(parameters.kwonly_params)
    if starred or any(p.default is not None for p in (*parameters.posonly_params, *others)):
        only = [p for p in parameters.kwonly_params if p.name.value not in names]
        only = [p.with_changes(comma=cst.MaybeSentinel.DEFAULT) for p in only]
        star = parameters.star_arg if starred else cst.ParamStar()
        only = [*(cst.Param(cst.Name(name)) for name in names), *only]
        return parameters.with_changes(params=others, star_arg=star, kwonly_params=only)
    kept = [p.with_changes(default=None, equal=cst.MaybeSentinel.DEFAULT) for p in kept]
    there = {p.name.value for p in kept}
    added = [cst.Param(cst.Name(name)) for name in names if name not in there]
    return parameters.with_changes(params=[*kept, *added])
