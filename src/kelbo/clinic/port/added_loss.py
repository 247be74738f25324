"""Recipes 3 and 4: model.add_loss of a loss computed from tensors of the functional graph."""

from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Instance
from kelbo.clinic.port.compiled_loss import compiled_loss
from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.lines import last_line, metric_of, one_number, track
from kelbo.clinic.port.loss_noise import seed_losses
from kelbo.clinic.port.metrics import measure, metric_reads
from kelbo.clinic.port.model import RESERVED, Model
from kelbo.clinic.port.passing import pass_on
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.slice import Slice


def port_added_losses(script: Script) -> None:
    """Move the computation of every such loss into the compute_loss of its model."""
    added: dict[Instance, list[Call]] = {}
    for call in script.calls_in(script.source.tree):
        models = [
            owner
            for owner in call.owners
            if isinstance(owner, Instance) and owner.is_model and owner.outputs is not None
        ]
        if call.method == "add_loss" and call.step is None and models:
            added.setdefault(models[0], []).append(call)
    for instance, calls in added.items():
        with script.attempt(calls[0].node):
            _port_added(script, Model(script, instance), calls)


def _port_added(script: Script, model: Model, calls: list[Call]) -> None:
    metrics = [
        call
        for call in script.calls_in(script.source.tree)
        if call.method == "add_metric" and model.instance in call.owners
    ]
    used = Slice(script, model, script.block(calls[0].node))
    losses = [call.node.args[0] for call in calls if call.node.args]
    if len(losses) < len(calls):
        raise Unportable(calls[0].node, "add_loss gets its loss as a keyword argument.")
    for expression in losses:
        used.need(expression)
    lines = []
    for call in metrics:
        used.need(metric_of(call))
        used.codes.append(metric_of(call))
        lines.append(track(script, model, call))
    measured = measure(script, model, *pass_on(script, model, metric_reads(script, model)))
    compiled = compiled_loss(script, model)
    seed_losses(script, model, [*used.moved, *losses])
    parts = [one_number(script, expression, used.code(expression)) for expression in losses]
    used.finish({*calls, *metrics})
    comments = [script.edits.remove(script.statement(call.node)) for call in calls]
    if compiled is not None:
        if model.name in RESERVED and not used.reads(model.value):
            model.rename()
        if model.name in used.names:
            raise Unportable(
                calls[0].node, f"{model.name} is something else where the loss is computed."
            )
        if "y" in used.names | {model.name, *model.others, *model.inputs}:
            model.target = script.free_name("target", "targets")
        lines += compiled.lines
        name = compiled.name
        parts.insert(0, lambda: name)
    added = model.added()
    whole = compiled is not None and compiled.whole
    lines.append(last_line(parts, comments, "" if whole else added))
    place = script.statement(model.made)
    target = compiled is not None or bool(model.measured)
    code = [*measured, *used.lines, *lines]
    values = [call.arguments.get(0, "losses", "loss") for call in calls]
    values += compiled.values if compiled is not None else ()
    model.write(code, place, used.only_here, target, values, used.before)
