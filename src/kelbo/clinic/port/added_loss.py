"""Recipes 3 and 4: model.add_loss of a loss computed from tensors of the functional graph."""

import ast

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Function, Instance, Known, options
from kelbo.clinic.port.edits import Code, Unportable
from kelbo.clinic.port.lines import last_line, metric_of, one_number, track
from kelbo.clinic.port.metrics import measure, metric_reads
from kelbo.clinic.port.model import RESERVED, Model
from kelbo.clinic.port.passing import pass_on
from kelbo.clinic.port.script import Script, argument
from kelbo.clinic.port.slice import Slice

_LOSSES = {"squared_error": "mean_squared_error", "absolute_error": "mean_absolute_error"}


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
    compiled = _compiled_loss(script, model)
    parts = [one_number(script, expression, used.code(expression)) for expression in losses]
    used.finish({*calls, *metrics})
    comments = [script.edits.remove(script.statement(call.node)) for call in calls]
    if compiled:
        if model.name in RESERVED and not used.reads(model.value):
            model.rename()
        if clash := used.names & {"y", model.name}:
            raise Unportable(
                calls[0].node, f"{min(clash)} is something else where the loss is computed."
            )
        lines.append(lambda: f"reconstruction_loss = {compiled()}")
        parts.insert(0, lambda: "reconstruction_loss")
    lines.append(last_line(model, parts, comments))
    place = script.statement(model.made)
    target = bool(compiled or model.measured)
    code = [*measured, *used.lines, *lines]
    model.write(code, place, used.only_here, target, used.before)


def _compiled_loss(script: Script, model: Model) -> Code | None:
    """The loss that compile is given, as an expression of compute_loss; None if there is none."""
    found: dict[str, Code] = {}
    for call in model.compilations:
        node = argument(call.node, 1, "loss")
        if node is None or isinstance(node, ast.Constant) and node.value is None:
            continue
        value = script.program.value(node)
        for option in options(value):
            name = library.text(option)
            if name is not None and library.loss_kind(name):
                kind = library.loss_kind(name) or ""
                found[name] = _loss_code(script, model, f"keras.losses.{_LOSSES.get(kind, kind)}")
            elif isinstance(option, Known) and library.loss_kind(option.name):
                found[option.name] = _loss_code(script, model, option.name)
            elif isinstance(option, Function):
                code = model.compile_with(option, node, "reconstruction_loss")
                found[option.name] = _loss_code(script, model, code)
            elif isinstance(option, Instance) and isinstance(node, ast.Call):
                made = getattr(option.of, "name", "")
                rest = script.code(node).partition("(")[2]
                found[made] = _loss_code(script, model, f"{made}({rest}")
            else:
                raise Unportable(call.node, "the loss that compile is given is not known.")
    if len(found) > 1:
        raise Unportable(model.made, "the model is compiled with several losses.")
    if not model.keeps_loss:
        model.compile_without_loss()
    return next(iter(found.values()), None)


def _loss_code(script: Script, model: Model, name: str) -> Code:
    call = name + "(y, {})"
    if "(" in name:  # an object, which takes the mean itself
        return lambda: call.format(model.name)
    return lambda: f"{script.ops}.mean({call.format(model.name)})"
