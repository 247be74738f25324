"""The normal distribution with independent dimensions."""

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import (
    LOG_TWO_PI,
    Factorised,
    Tensor,
    float32,
    sampled_shape,
)


class Normal(Factorised):
    """N(mu, diag(exp(log_var))).

    Args:
        mu: means, (S..., batch, *event).
        log_var: logarithms of the variances, broadcastable to `mu`.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, mu: Tensor, log_var: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.mu = float32(mu)
        self.log_var = float32(log_var)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced."""
        squared = ops.square(float32(value) - self.mu) * ops.exp(-self.log_var)
        return -0.5 * (LOG_TWO_PI + self.log_var + squared)

    def sample(self, seed: int | keras.random.SeedGenerator, sample_shape: tuple = ()) -> Tensor:
        """Draw mu + exp(log_var / 2) * epsilon, epsilon ~ N(0, 1): (*sample_shape, batch, *event).

        The draw is differentiable in mu and log_var (Kingma and Welling 2014, section 2.4).
        """
        epsilon = keras.random.normal(
            sampled_shape(self.mu, sample_shape), dtype="float32", seed=seed
        )
        return self.mu + ops.exp(0.5 * self.log_var) * epsilon

    def mean(self) -> Tensor:
        """The expected value mu."""
        return self.mu

    def mode(self) -> Tensor:
        """The most probable value, mu."""
        return self.mu

    def best_constant(self, x: np.ndarray) -> "Normal":
        """N(mean of x, the variance that this distribution has)."""
        mean = np.broadcast_to(x.mean(axis=0, dtype="float64"), x.shape)
        return Normal(mean, ops.broadcast_to(self.log_var, x.shape), self.event_rank)
