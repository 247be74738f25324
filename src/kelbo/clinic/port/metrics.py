"""Metrics of compile that read tensors of the functional graph, as those of recipe 1 often do."""

import ast
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from kelbo.clinic.doctor.program import SymbolicRead
from kelbo.clinic.doctor.words import in_words
from kelbo.clinic.port.edits import Code, Unportable
from kelbo.clinic.port.model import RESERVED, Model
from kelbo.clinic.port.script import Script, argument, function_of


def metric_reads(script: Script, model: Model) -> list[SymbolicRead]:
    """The reads of tensors from outside in the metrics of a model."""
    compiled = {call.node for call in model.compilations}
    return [
        read
        for read in script.program.symbolic_reads
        if read.step.kind == "metric" and read.step.node in compiled
    ]


def measure(
    script: Script, model: Model, names: Sequence[str], functions: AbstractSet[ast.AST]
) -> list[Code]:
    """The lines of compute_loss that compute such metrics; the model then reports their means.

    Args:
        script: the script.
        model: the model that is compiled with them.
        names: what they read from outside, now their arguments.
        functions: the functions that have these arguments.
    """
    reads = metric_reads(script, model)
    if not reads:
        return []
    (call, *others) = model.compilations
    listed = argument(call.node, 2, "metrics")
    metrics = listed.elts if isinstance(listed, ast.List | ast.Tuple) else []
    found = [function_of(script.program.value(metric)) for metric in metrics]
    if others or not found or any(f is None or isinstance(f.node, ast.Lambda) for f in found):
        raise Unportable(
            call.node,
            f"metrics read {in_words([read.name for read in reads])} from outside, which Keras "
            "does not pass to them, and not all of them are functions of the script.",
        )
    given = "".join(f", {name}={name}" for name in names)
    called = [
        (metric.name, given if metric.node in functions else "")
        for metric in found
        if metric is not None
    ]
    model.measured = [name for name, _ in called]
    if clash := {*model.measured} & {model.name, *model.others, *RESERVED}:
        raise Unportable(call.node, f"{min(clash)} is a metric and a tensor of compute_loss.")
    model.trackers += [(f"{name}_tracker", name) for name in model.measured]
    unpacked = ", ".join(model.measured) if len(called) > 1 else f"({model.measured[0]},)"
    return [
        lambda: f"{unpacked} = self.vae_metrics",
        *(_update(model, name, arguments) for name, arguments in called),
    ]


def _update(model: Model, name: str, arguments: str) -> Code:
    return lambda: (
        f"self.{name}_tracker.update_state({name}({model.target}, {model.name}{arguments}))"
    )
