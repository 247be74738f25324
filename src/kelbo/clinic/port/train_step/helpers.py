"""Helper methods that call layers and compute losses: their lines join those of the step."""

import ast

from kelbo.clinic.doctor.values import known_names
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.train_step.parts import Layers
from kelbo.clinic.port.train_step.step import Step, loaded, stored, without_docstring

_STEPS = ("train_step", "test_step")
_REDUCTIONS = ("reduce_mean", "reduce_sum", "mean", "sum")


def join_helpers(script: Script, step: Step, layers: Layers) -> list[ast.FunctionDef]:
    """Put the lines of helper methods into a step.

    Returns:
        The methods, which nothing else calls.

    Raises:
        Unportable: the lines cannot be taken over as they are.
    """
    found: list[ast.FunctionDef] = []
    _name_returned(step, layers)
    while True:
        line = next((one for one in step.lines if _helper(script, one, layers)), None)
        if line is None:
            return found
        helper = _helper(script, line, layers)
        if helper is None or helper in found or line in step.after:
            raise Unportable(line, f"line {line.lineno} calls layers a second time.")
        _refuse_other_users(script, helper, layers)
        found.append(helper)
        place = step.lines.index(line)
        made = _lines(step, line, helper)
        step.lines[place : place + 1] = made
        step.taped += made if line in step.taped else []


def _helper(script: Script, line: ast.stmt, layers: Layers) -> ast.FunctionDef | None:
    """The method that a line gets its value from, if it calls layers and computes losses."""
    call = line.value if isinstance(line, ast.Assign) else None
    owner, _, name = dotted(call.func).partition(".") if isinstance(call, ast.Call) else ("",) * 3
    method = layers.methods.get(name) if owner == "self" else None
    if method is None or not any(layers.calls(method)):
        return None
    for node in ast.walk(method):
        names = known_names(script.program.value(node.func)) if isinstance(node, ast.Call) else ()
        if any(n.startswith("keras.losses.") or n.rpartition(".")[2] in _REDUCTIONS for n in names):
            return method
    return None


def _name_returned(step: Step, layers: Layers) -> None:
    """Give names to what helpers compute within a returned dict: {"loss": self.loss_of(x)}."""
    returned = step.returned
    if not isinstance(returned, ast.Dict):
        return
    values = []
    for place, value in enumerate(returned.values):
        owner, _, name = dotted(getattr(value, "func", None)).partition(".")
        if isinstance(value, ast.Call) and owner == "self" and name in layers.methods:
            target = ast.copy_location(ast.Name(f"returned_{place}", ast.Store()), value)
            step.lines.append(ast.copy_location(ast.Assign([target], value), value))
            value = ast.copy_location(ast.Name(target.id, ast.Load()), value)
        values.append(value)
    step.returned = ast.copy_location(ast.Dict(returned.keys, values), returned)


def _refuse_other_users(script: Script, helper: ast.FunctionDef, layers: Layers) -> None:
    steps = {layers.methods.get(name) for name in _STEPS}
    for node in ast.walk(script.source.tree):
        if isinstance(node, ast.Attribute) and node.attr == helper.name:
            if not steps & {*script.above(node)} or dotted(node) != f"self.{helper.name}":
                raise Unportable(
                    node,
                    f"line {node.lineno} uses {script.code(node)}, which calls layers and "
                    "computes the loss; compute the loss in a method of its own.",
                )


def _lines(step: Step, line: ast.stmt, helper: ast.FunctionDef) -> list[ast.stmt]:
    """The lines that replace the call of a helper."""
    call = getattr(line, "value", None)
    *body, last = without_docstring(helper.body)
    parameters = [argument.arg for argument in helper.args.args[1:]]
    plain = (
        isinstance(call, ast.Call)
        and isinstance(last, ast.Return)
        and not (helper.args.vararg or helper.args.kwarg or helper.args.kwonlyargs)
        and all(isinstance(one, ast.Assign | ast.AnnAssign | ast.AugAssign) for one in body)
        and not helper.args.defaults
        and not any(word.arg is None for word in call.keywords)
        and len(call.args) + len(call.keywords) == len(parameters)
    )
    if not plain or not isinstance(last, ast.Return) or last.value is None:
        raise Unportable(
            line, f"line {helper.lineno} has a helper that is more than a computation."
        )
    given = dict(zip(parameters, call.args, strict=False))  # type: ignore[union-attr]
    given |= {str(word.arg): word.value for word in call.keywords}  # type: ignore[union-attr]
    inside = set().union(*map(stored, body)) if body else set()
    outside = set().union(*(stored(one) for one in step.lines if one is not line))
    outside |= {name for target, _ in step.data.parts for name in stored(target)}
    if clash := inside & outside:
        raise Unportable(
            line, f"{min(clash)} is a name in {helper.name} and in {step.method.name}."
        )
    first = [made for name, value in given.items() for made in _argument(step, line, name, value)]
    target = line.targets[0] if isinstance(line, ast.Assign) else None
    if target is None:
        raise Unportable(line, f"line {line.lineno} gives no name to what {helper.name} returns.")
    return [*first, *body, *_results(line, target, last.value)]


def _argument(step: Step, line: ast.stmt, name: str, value: ast.expr) -> list[ast.stmt]:
    """The line that gives an argument its value; none for data, or if it has the name already."""
    if isinstance(value, ast.Name):
        if value.id == name:
            return []
        for target, part in list(step.data.parts):
            if isinstance(target, ast.Name) and target.id == value.id:
                step.data.parts.append((ast.Name(name, ast.Store()), part))
                return []
    return [_assignment(line, ast.Name(name, ast.Store()), value)]


def _results(line: ast.stmt, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
    """The lines that give the names of the step what the helper returns."""
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    values = value.elts if isinstance(value, ast.Tuple) and len(targets) > 1 else [value]
    if len(targets) != len(values):
        return [_assignment(line, target, value)]
    pairs = [
        (one, other)
        for one, other in zip(targets, values, strict=True)
        if not (isinstance(other, ast.Name) and dotted(one) == other.id)
    ]
    for place, (one, _) in enumerate(pairs):
        if any(stored(one) & loaded(other) for _, other in pairs[place + 1 :]):
            return [_assignment(line, target, value)]
    return [_assignment(line, one, other) for one, other in pairs]


def _assignment(line: ast.stmt, target: ast.expr, value: ast.expr) -> ast.stmt:
    named = ast.copy_location(target, line)
    return ast.copy_location(ast.Assign([named], value), line)
