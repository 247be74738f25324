"""A function's value and gradient on TensorFlow: see `kelbo.backends.gradient`."""

from collections.abc import Callable
from typing import Any


def value_and_gradient(f: Callable[[Any], Any], at: Any) -> tuple[Any, Any]:
    """f(at), (n,), and its gradient, (n, *event)."""
    import tensorflow as tf

    at = tf.identity(at)  # of a variable its value; f may use `at` elsewhere too, as a constant
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = f(at)
    # Outside the tape: an outer one, such as that of a training step, records it.
    gradient = tape.gradient(value, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return value, gradient
