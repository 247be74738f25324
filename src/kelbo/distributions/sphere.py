"""The uniform distribution on the unit sphere."""

import math
from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Distribution, Tensor, float32


class UniformSphere(Distribution):
    """Uniform on the unit sphere S^(d-1) in R^d; densities are with respect to its area.

    Its parameters have no batch axis: `sample(seed, (n,))` draws n.

    Args:
        dimension: d, at least 2.
    """

    def __init__(self, dimension: int):
        super().__init__(event_rank=1)
        self.dimension = dimension

    def log_prob(self, value: Tensor) -> Tensor:
        """Minus the logarithm of the area, in nats: (S..., batch, d) -> (S..., batch)."""
        return ops.zeros_like(float32(value)[..., 0]) - log_area(self.dimension)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw directions: (*sample_shape, d)."""
        return on_sphere(keras.random.normal((*sample_shape, self.dimension), seed=seed))

    def mean(self) -> Tensor:
        """0, the centre of the sphere: (d,)."""
        return ops.zeros((self.dimension,), dtype="float32")


def log_area(dimension: int) -> float:
    """The logarithm of the area of the unit sphere in R^d: 2 pi^(d/2) / Gamma(d/2)."""
    half = 0.5 * dimension
    return math.log(2.0) + half * math.log(math.pi) - math.lgamma(half)


def on_sphere(vector: Tensor) -> Tensor:
    """The direction of a vector, of length 1; a vector of 0 stays 0."""
    # The sum of squares must not be 0, where its root has no gradient.
    squares = ops.sum(ops.square(vector), axis=-1, keepdims=True)
    return vector / ops.sqrt(ops.maximum(squares, 1e-30))
