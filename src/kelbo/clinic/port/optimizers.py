"""Optimizers: lr, decay and epsilon=None of Keras 2."""

import ast

import libcst as cst

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.rules.backend_functions import STILL_THERE
from kelbo.clinic.doctor.values import Constant, Instance, Known, options
from kelbo.clinic.doctor.words import in_words
from kelbo.clinic.port.edits import (
    Unportable,
    argument_node,
    code_of,
    renamed,
    with_argument,
    without,
)
from kelbo.clinic.port.names import place
from kelbo.clinic.port.script import Script, argument

# The default learning rates.
_RATES = {name: "0.001" for name in library.OPTIMIZERS} | {"SGD": "0.01"}
# Learning rate after t steps: rate / (1 + decay t).
_SCHEDULE = "keras.optimizers.schedules.InverseTimeDecay({}, decay_steps=1, decay_rate={})"
# The package keras had other defaults for these, up to 2.3; from 2.4 on it had TensorFlow's.
_BEFORE = {"Adadelta": "1.0", "Adagrad": "0.01", "Adamax": "0.002", "Nadam": "0.002"}
# These set the learning rate, which Keras refuses for one that follows a schedule.
_SETTERS = {
    "keras.backend.set_value",
    "keras.callbacks.LearningRateScheduler",
    "keras.callbacks.ReduceLROnPlateau",
}


def respell_optimizers(script: Script) -> None:
    """Give optimizers today's options; a decay becomes a schedule of the learning rate."""
    for call in script.calls_in(script.source.tree):
        for name in call.names:
            module, _, kind = (place(name) or "").rpartition(".")
            if module == "keras.optimizers" and kind in library.OPTIMIZERS:
                with script.attempt(call.node):
                    _respell_options(script, call, kind)
            elif name.startswith("tensorflow.train.") and name.endswith("Optimizer"):
                script.leave(
                    call.node,
                    f"{script.code(call.node.func)} is TensorFlow's alone; take an optimizer of "
                    "keras.optimizers.",
                )
        if call.method == "compile" and _is_of_keras_2(script):
            _look_at_string(script, call)


def _respell_options(script: Script, call: Call, kind: str) -> None:
    if argument(call.node, None, "schedule_decay") is not None:
        raise Unportable(call.node, f"{kind} takes no schedule_decay in Keras 3.")
    # A decay of nothing, and an epsilon of None, which was the default.
    idle = [
        word
        for word, values in (("decay", (None, 0)), ("epsilon", (None,)))
        if call.arguments.get(None, word) in [Constant(value) for value in values]
    ]
    decays = argument(call.node, None, "decay") is not None and "decay" not in idle
    rate = argument(call.node, 0, "lr", "learning_rate")
    none = call.arguments.get(0, "lr", "learning_rate") is None
    if none and kind in _BEFORE and any(map(_of_keras_alone, options(call.function))):
        if decays or idle or _is_of_keras_2(script):
            raise Unportable(call.node, _other_rate(kind))
    if decays:
        _can_be_scheduled(script, call, rate)

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        made = without(cst.ensure_type(node, cst.Call), None, *idle)
        if decays:
            made = _scheduled(made, _RATES[kind], rate is not None)
        return renamed(made, {"lr": "learning_rate"})

    script.edits.change(call.node, change)


def _look_at_string(script: Script, call: Call) -> None:
    """Leave a string such as "adadelta" in compile, whose learning rate was another."""
    name = (library.text(call.arguments.get(0, "optimizer")) or "").lower()
    models = [owner.of for owner in call.owners if isinstance(owner, Instance)]
    for kind in _BEFORE:
        if kind.lower() == name and any(map(_of_keras_alone, models)):
            script.leave(call.node, _other_rate(kind))


def _other_rate(kind: str) -> str:
    return (
        f"the learning rate of {kind} was {_BEFORE[kind]} in Keras 2.3 and before, and is "
        f"{_RATES[kind]} today: give it yours, "
        f"keras.optimizers.{kind}(learning_rate={_BEFORE[kind]})."
    )


def _is_of_keras_2(script: Script) -> bool:
    """Whether the script uses a function of the package keras that Keras 3 does not have."""
    read = [r.value.spelled for r in script.program.readings if isinstance(r.value, Known)]
    parts = [spelled.rpartition(".") for spelled in read]
    return any(head == "keras.backend" and last not in STILL_THERE for head, _, last in parts)


def _of_keras_alone(value: object) -> bool:
    """Whether the script takes a class from the package keras, and not from TensorFlow."""
    return isinstance(value, Known) and value.spelled.startswith("keras.")


def _can_be_scheduled(script: Script, call: Call, rate: ast.expr | None) -> None:
    """Make sure that nothing but the decay changes the learning rate."""
    setters = [script.code(c.node.func) for c in script.program.calls if c.names & _SETTERS]
    if setters:
        raise Unportable(
            call.node,
            f"decay would become a schedule, but {in_words(setters)} sets the learning rate, too.",
        )
    made = script.made(rate)
    for other in script.calls_in(made) if made is not None else ():
        if any(name.startswith("keras.optimizers.schedules.") for name in other.names):
            raise Unportable(call.node, "the learning rate has a schedule already, beside decay.")


def _scheduled(call: cst.Call, default: str, given: bool) -> cst.Call:
    decay = code_of(argument_node(call, None, "decay").value)
    call = without(call, None, "decay")
    if not given:
        return with_argument(call, f"learning_rate={_SCHEDULE.format(default, decay)}")
    rate = argument_node(call, 0, "lr", "learning_rate")
    schedule = cst.parse_expression(_SCHEDULE.format(code_of(rate.value), decay))
    return call.with_deep_changes(rate, value=schedule)
