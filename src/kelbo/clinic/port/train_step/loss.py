"""The formula of the loss that a train_step's tape follows."""

import ast
from collections.abc import Iterator, Sequence

from kelbo.clinic.doctor.expressions import Atom
from kelbo.clinic.doctor.values import Class, known_names
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.formula import LAYERS, NOTHING, Formula, Place, formula, placed
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.train_step.own_call import OwnCall, instances
from kelbo.clinic.port.train_step.step import Step, loaded

_LOSSES = "self.losses"
_SUMS = ("add_n", "reduce_sum", "sum")


def formula_of_step(script: Script, written: Class, step: Step, own: OwnCall) -> Formula | None:
    """The formula of a step's loss; None if it is not read.

    Args:
        script: the script.
        written: the model's class.
        step: the step.
        own: what the ported call returns.
    """
    made = {instance.node for instance in instances(script, written)}
    if len(made) != 1 or step.target is None:
        return None  # several models of this class may have weights of their own
    lines: list[ast.AST] = [*step.lines, step.target]
    if step.returned is not None:
        lines.append(step.returned)
    places = _places(script, step, own, lines)
    summands = [one for one in _summands(step, step.target) if not is_sum_of_losses(script, one)]
    if not mentions_losses(lines):
        whole, added = [[step.target], [_meaning(step, step.target)]], NOTHING
    elif summands and not mentions_losses(summands):
        whole, added = [summands], LAYERS
    else:
        return None
    found = (
        formula(script.program, list(map(script.program.value, one)), (), places, "sum", added)
        for one in whole
    )
    return next((one for one in found if one is not None), None)


def _places(
    script: Script, step: Step, own: OwnCall, lines: Sequence[ast.AST]
) -> dict[Atom, Place]:
    """Where the ported model finds what the step computes the loss from."""
    named: dict[str, Place] = {}
    names = own.target.split(", ")
    for number, name in enumerate(names):
        # A single name is given all that call returns.
        many = len(names) == 1 and own.kept is not None
        named[name] = ("output",) if many else ("output", number)
    inputs = [target for target, part in step.data.parts if part in ("x", "y")]
    for target, part in step.data.parts:
        # fit is given labels that the layers read as a part of x.
        packed = own.labels and target in inputs
        whole: Place = ("x", inputs.index(target)) if packed else (part,)
        if isinstance(target, ast.Name):
            named.setdefault(target.id, whole)
        elif isinstance(target, ast.Tuple):
            for number, one in enumerate(target.elts):
                named.setdefault(dotted(one), (*whole, number))
    found: dict[Atom, Place] = {}
    for line in lines:
        for node in ast.walk(line):
            if isinstance(node, ast.Name) and node.id in named:
                found |= placed(script.program.value(node), named[node.id])
    return found


def _meaning(step: Step, node: ast.expr) -> ast.expr:
    """The expression behind a name that is given one value."""
    while isinstance(node, ast.Name):
        lines = step.assigned(node.id)
        line = lines[0] if len(lines) == 1 else None
        if not isinstance(line, ast.Assign) or not isinstance(line.targets[0], ast.Name):
            break
        if node.id in loaded(line.value):
            break
        node = line.value
    return node


def _summands(step: Step, node: ast.expr) -> Iterator[ast.expr]:
    """The expressions that add up to a loss, each once."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _summands(step, node.left)
        yield from _summands(step, node.right)
        return
    values = _added_up(step.assigned(node.id)) if isinstance(node, ast.Name) else []
    if values and not any(dotted(node) in loaded(value) for value in values):
        for value in values:
            yield from _summands(step, value)
    else:
        yield node


def _added_up(lines: Sequence[ast.stmt]) -> list[ast.expr]:
    """The values of `loss = a` and each `loss += b` after it; empty if there are other lines."""
    values = []
    for place, line in enumerate(lines):
        if isinstance(line, ast.Assign) and place == 0 and isinstance(line.targets[0], ast.Name):
            values.append(line.value)
        elif isinstance(line, ast.AugAssign) and place and isinstance(line.op, ast.Add):
            values.append(line.value)
        else:
            return []
    return values


def is_sum_of_losses(script: Script, node: ast.expr) -> bool:
    """Whether an expression is `sum(self.losses)`."""
    if not isinstance(node, ast.Call) or [dotted(one) for one in node.args] != [_LOSSES]:
        return False
    names = known_names(script.program.value(node.func))
    return not node.keywords and any(name.rpartition(".")[2] in _SUMS for name in names)


def mentions_losses(nodes: Sequence[ast.AST]) -> bool:
    """Whether some syntax reads what layers add to the loss."""
    return any(dotted(inner) == _LOSSES for node in nodes for inner in ast.walk(node))
