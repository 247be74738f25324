"""The gradient of a function, the one thing that keras.ops lacks: each backend has its own."""

import importlib
from collections.abc import Callable

import keras

from kelbo.distributions.distribution import Tensor


def value_and_gradient(f: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """f at `at`, and the gradient of f there; both can be differentiated again, in all they use.

    It may stand in a compiled step, in a loop of `keras.ops`, and within another gradient.

    Args:
        f: (n, *event) -> (n,); row i of the result depends on row i of the argument alone. It
            changes no state, as a BatchNormalization in training mode would: on JAX that would
            be lost.
        at: (n, *event), of floats.

    Returns:
        f(at), (n,), and its gradient, (n, *event); zeros where f does not depend on its argument.
    """
    backend = importlib.import_module(f"kelbo.backends.{keras.backend.backend()}.gradient")
    return backend.value_and_gradient(f, keras.ops.convert_to_tensor(at))
