"""The Laplace distribution with independent dimensions."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor, float32, sampled_shape
from kelbo.distributions.special import LOG_TWO


class Laplace(Factorised):
    """The density exp(-|x - location| / b) / (2 b), b = exp(log_scale).

    Args:
        location: the mean, (S..., batch, *event).
        log_scale: log b, broadcastable to `location`. The variance is 2 b^2.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, location: Tensor, log_scale: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.location = float32(location)
        self.log_scale = float32(log_scale)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced."""
        distance = ops.abs(float32(value) - self.location) * ops.exp(-self.log_scale)
        return -distance - self.log_scale - LOG_TWO

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw by the inverse of the distribution function: (*sample_shape, batch, *event).

        The draw is differentiable in location and log_scale.
        """
        shape = sampled_shape(self.location, sample_shape)
        centred = keras.random.uniform(shape, -1.0, 1.0, dtype="float32", seed=seed)
        # The density at infinity is never asked for: |u| stays below 1.
        tail = ops.log1p(-ops.minimum(ops.abs(centred), 1.0 - 2.0**-24))
        return self.location - ops.exp(self.log_scale) * ops.sign(centred) * tail

    def mean(self) -> Tensor:
        """The location."""
        return self.location

    def mode(self) -> Tensor:
        """The location."""
        return self.location

    def best_constant(self, x: np.ndarray) -> "Laplace":
        """The median of x, with the scale that this distribution has."""
        median = np.broadcast_to(np.median(x, axis=0), x.shape)
        return Laplace(median, ops.broadcast_to(self.log_scale, x.shape), self.event_rank)
