"""The loss that compile is given beside the losses that a script adds."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Constant, Function, Instance, Items, Known, Value, options
from kelbo.clinic.port.edits import Code
from kelbo.clinic.port.model import Model
from kelbo.clinic.port.script import Script, argument

_LOSSES = {"squared_error": "mean_squared_error", "absolute_error": "mean_absolute_error"}
_ZEROS = ("keras.backend.zeros", "tensorflow.zeros", "keras.ops.zeros", "numpy.zeros")
# Keras adds up what layers add and the loss of compile; without any it may raise an error.
_WHOLE = """\
{name} = sum(self.losses)
if self.loss is not None:
    # The loss that compile is given, and what layers add.
    {name} = super().compute_loss(y={target}, y_pred={output}, sample_weight=sample_weight)"""


@dataclass(frozen=True)
class CompiledLoss:
    """The loss that compile is given, as lines of compute_loss.

    Args:
        lines: the lines.
        name: the name that they give it.
        values: what the doctor knows of it, for a function of the script.
        whole: whether it holds what layers add, too.
    """

    lines: Sequence[Code]
    name: str
    values: tuple[Value, ...] = ()
    whole: bool = False


def compiled_loss(script: Script, model: Model) -> CompiledLoss | None:
    """The loss that compile is given; None if there is certainly none.

    What cannot be told from the script, such as the loss of a compile in another file, is asked of
    Keras when the model is trained.

    Args:
        script: the script.
        model: the model that is compiled.
    """
    found: dict[str, tuple[ast.expr, Value]] = {}
    for call in model.compilations:
        node = argument(call.node, 1, "loss")
        if node is None or script.program.value(node) == Constant(None):
            continue
        for option in options(script.program.value(node)):
            found[_name_of(option) or f"unknown {len(found)}"] = node, option
    known = len(found) < 2 and all(_name_of(option) for _, option in found.values())
    if not known or not model.is_compiled_here:
        return _asked_of_keras(script, model)
    if not found:
        model.compile_without_loss()
        return None
    ((node, option),) = found.values()
    code = _code_of(script, model, node, option)
    if not model.keeps_loss:
        model.compile_without_loss()
    steps = [
        result
        for step, result in script.program.results
        if step.kind == "loss" and step.node in {call.node for call in model.compilations}
    ]
    name = "reconstruction_loss"
    return CompiledLoss([lambda: f"{name} = {code()}"], name, tuple(steps[:1]))


def _asked_of_keras(script: Script, model: Model) -> CompiledLoss:
    name = script.free_name("compiled_loss", "compiled_loss_value")
    model.keeps_loss = True

    def lines() -> str:
        return _WHOLE.format(name=name, target=model.target, output=model.name)

    return CompiledLoss([lines], name, whole=True)


def _name_of(option: Value) -> str:
    """What a loss is called; empty for what cannot be called by name in compute_loss."""
    name = library.text(option)
    if name is not None:
        return name if library.loss_kind(name) else ""
    if isinstance(option, Known):
        return option.name if library.loss_kind(option.name) else ""
    if isinstance(option, Function):
        return option.name
    if isinstance(option, Instance) and isinstance(option.of, Known):
        return option.of.name if isinstance(option.node, ast.Call) else ""
    return ""


def _code_of(script: Script, model: Model, node: ast.expr, option: Value) -> Code:
    name = library.text(option)
    if name is not None:
        kind = library.loss_kind(name) or ""
        return _call(script, model, f"keras.losses.{_LOSSES.get(kind, kind)}")
    if isinstance(option, Function):
        return _call(script, model, model.compile_with(option, node, "reconstruction_loss"))
    if isinstance(option, Instance):
        made = getattr(option.of, "name", "")
        given = script.code(option.node).partition("(")[2] if option.node is not None else ")"
        return _call(script, model, f"{made}({given}")
    return _call(script, model, getattr(option, "name", ""))


def _call(script: Script, model: Model, name: str) -> Code:
    call = name + "({}, {})"
    if "(" in name:  # an object, which takes the mean itself
        return lambda: call.format(model.target, model.name)
    return lambda: f"{script.ops}.mean({call.format(model.target, model.name)})"


def is_nothing(script: Script, model: Model) -> bool:
    """Whether the loss that compile is given is certainly 0, as that of old loss layers.

    Args:
        script: the script.
        model: the model that is compiled.
    """
    return model.is_compiled_here and all(
        given is None or all(_is_zero(script, option) for option in options(_only(given)))
        for call in model.compilations
        for given in (call.arguments.get(1, "loss"),)
    )


def _only(value: Value) -> Value:
    items = value.items if isinstance(value, Items) else ()
    return items[0] if len(items) == 1 else value


def _is_zero(script: Script, option: Value) -> bool:
    if option == Constant(None):
        return True
    if not isinstance(option, Function):
        return False
    node = option.node
    returned = (
        [node.body]
        if isinstance(node, ast.Lambda)
        else [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
    )
    return bool(returned) and all(_is_made_of_zeros(script.calls_in(node), r) for r in returned)


def _is_made_of_zeros(calls: Sequence[Call], node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in (0, 0.0)
    return any(
        call.node is node and any(name.startswith(_ZEROS) for name in call.names) for call in calls
    )
