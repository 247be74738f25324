"""Marks what only TensorFlow can run: tf.GradientTape, models in @tf.function, TFP's layers."""

import ast
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from kelbo.clinic.doctor.values import Function, Instance, known_names, options
from kelbo.clinic.port.script import Script
from kelbo.clinic.port.train_step.step import TAPE


def leave_tapes(
    script: Script, ported: AbstractSet[ast.AST], reasons: Mapping[ast.AST, str]
) -> None:
    """Mark training with a tape and TensorFlow functions that call a model, each once.

    Args:
        script: the script.
        ported: the functions whose tapes are gone.
        reasons: why others could not be ported.
    """
    tapes: dict[ast.AST, ast.AST] = {}
    tree = script.source.tree
    for call in sorted(script.calls_in(tree), key=lambda call: call.node.lineno):
        if TAPE in call.names and not call.guarded:
            whole = script.function_around(call.node) or script.top(call.node)
            if whole not in ported:
                tapes.setdefault(whole, call.node)
    leave_untouched(script, tapes)
    for whole, tape in tapes.items():
        script.leave(
            tape,
            "tf.GradientTape is TensorFlow's alone; train with fit and a compute_loss."
            + (f" Not ported: {reasons[whole]}" if whole in reasons else ""),
        )
    marked = {outer for tape in tapes.values() for outer in script.above(tape)} | ported
    for function in script.program.functions:
        node = function.node
        if node not in marked and _is_of_tensorflow(script, node) and _calls_layers(script, node):
            script.leave(node, "tf.function is TensorFlow's alone, and a model is called in it.")


def leave_untouched(script: Script, tapes: Mapping[ast.AST, ast.AST]) -> None:
    """Drop the changes inside functions with a tape, and in functions that only these call.

    Of a model with a train_step, the whole class stays as it was. A part of them in keras.ops would
    run nowhere else than the whole.
    """
    untouched = {_whole(script, function) for function in tapes}
    calls = [
        (option.node, script.function_around(call.node), call)
        for call in script.program.calls
        for option in options(call.function)
        if isinstance(option, Function)
    ]
    while True:
        callers: dict[ast.AST, set[ast.AST | None]] = {}
        for function, caller, call in calls:
            inside = {caller, *script.above(call.node)} & untouched
            callers.setdefault(function, set()).add(next(iter(inside), None))
        found = {f for f, above in callers.items() if None not in above} - untouched
        found = {f for f in found if not _is_handed_on(script, f)}
        if not found:
            break
        untouched |= found
    for node in untouched:
        script.edits.forget(node)
        first, last = node.lineno, node.end_lineno  # type: ignore[attr-defined]
        script.left = [one for one in script.left if not first <= one.line <= last]


def _whole(script: Script, function: ast.AST) -> ast.AST:
    """What stays as it was with a function: the class of a train_step."""
    above = script.parents[function]
    of_class = getattr(function, "name", "") == "train_step" and isinstance(above, ast.ClassDef)
    return above if of_class else function


def _is_handed_on(script: Script, function: ast.AST) -> bool:
    """Whether a function is also named where it is not called, as a loss of compile is."""
    return any(
        getattr(script.parents[mention], "func", None) is not mention
        for mention in script.mentions(getattr(function, "name", ""))
    )


def leave_probability(script: Script) -> None:
    """Mark the first layer of TensorFlow Probability, which no model of Keras 3 takes."""
    calls = sorted(script.calls_in(script.source.tree), key=lambda call: call.node.lineno)
    for call in calls:
        if any(name.startswith("tensorflow_probability.layers.") for name in call.names):
            script.leave(call.node, "the layers of TensorFlow Probability belong to Keras 2.")
            return


def _is_of_tensorflow(script: Script, node: ast.AST) -> bool:
    """Whether a function is decorated with @tf.function, or with @tf.function(...)."""
    decorators = [
        decorator.func if isinstance(decorator, ast.Call) else decorator
        for decorator in getattr(node, "decorator_list", [])
    ]
    return any("tensorflow.function" in known_names(script.program.value(d)) for d in decorators)


def _calls_layers(script: Script, node: ast.AST) -> bool:
    """Whether a layer or a model is called in a function."""
    return any(
        isinstance(option, Instance) and option.is_layer
        for call in script.calls_in(node)
        for option in options(call.function)
    )
