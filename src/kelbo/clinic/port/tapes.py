"""Marks what only TensorFlow can run: tf.GradientTape, models in @tf.function, TFP's layers."""

import ast

from kelbo.clinic.doctor.values import Instance, known_names, options
from kelbo.clinic.port.script import Script

TAPE = "tensorflow.GradientTape"


def leave_tapes(script: Script) -> None:
    """Mark training with a tape and TensorFlow functions that call a model, each once."""
    tapes: dict[ast.AST, ast.AST] = {}
    tree = script.source.tree
    for call in sorted(script.calls_in(tree), key=lambda call: call.node.lineno):
        if TAPE in call.names and not call.guarded:
            whole = script.function_around(call.node) or script.top(call.node)
            tapes.setdefault(whole, call.node)
    for tape in tapes.values():
        script.leave(
            tape,
            "tf.GradientTape is TensorFlow's alone; train with fit and a compute_loss.",
        )
    marked = {outer for tape in tapes.values() for outer in script.above(tape)}
    for function in script.program.functions:
        node = function.node
        if node not in marked and _is_of_tensorflow(script, node) and _calls_layers(script, node):
            script.leave(node, "tf.function is TensorFlow's alone, and a model is called in it.")


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
