"""The size of a network's Jacobian, and which networks have one for each datum."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kelbo.backends.gradient import value_and_gradient
from kelbo.conditional import Conditional
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError


def squared_jacobian_norm(f: Callable[[Tensor], Tensor], at: Tensor, seed: Any) -> Tensor:
    """An unbiased estimate of |df/dx|^2, the sum of the squares of all partial derivatives: (n,).

    It is |J' v|^2 for signs v drawn at random, whose expectation is the squared Frobenius norm
    (Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1990). One gradient
    does for any number of outputs. Where the rows of J are orthogonal it is exact.

    Args:
        f: (n, *event) -> (n, *outputs), each row of its own.
        at: (n, *event).
        seed: of the signs.
    """

    def projected(x: Tensor) -> Tensor:
        y = f(x)
        uniform = keras.random.uniform(ops.shape(y), -1.0, 1.0, dtype="float32", seed=seed)
        return ops.sum(ops.reshape(y * ops.sign(uniform), (ops.shape(y)[0], -1)), axis=-1)

    _, slope = value_and_gradient(projected, at)
    return ops.sum(ops.reshape(ops.square(slope), (ops.shape(at)[0], -1)), axis=-1)


def check_rows_are_independent(objective: str, part: Conditional) -> None:
    """Refuse a network in which a datum's output depends on the other data of the batch.

    Args:
        objective: its name, which takes the gradient of each datum's output.
        part: with the network.

    Raises:
        UsageError: it has a BatchNormalization.
    """
    for layer in part.network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            raise UsageError(
                f"{objective} takes the gradient of each datum through the network "
                f"{part.network.name!r}, in which {layer.name!r} mixes the data of a batch. Use "
                "keras.layers.LayerNormalization or GroupNormalization in its place."
            )
