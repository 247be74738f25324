"""The log-normal distribution with independent dimensions."""

from typing import Any

import numpy as np
from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor, float32
from kelbo.distributions.normal import Normal


class LogNormal(Factorised):
    """log x ~ N(mu, exp(log_scale)^2), for x > 0.

    Args:
        mu: the mean of log x, (S..., batch, *event).
        log_scale: the logarithm of the standard deviation of log x, broadcastable to `mu`.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, mu: Tensor, log_scale: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.mu = float32(mu)
        self.log_scale = float32(log_scale)

    @property
    def _of_log(self) -> Normal:
        return Normal(self.mu, 2.0 * self.log_scale, self.event_rank)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced."""
        log_value = ops.log(float32(value))
        return self._of_log.log_prob_per_dimension(log_value) - log_value

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw exp of a normal draw, differentiable in the parameters."""
        return ops.exp(self._of_log.sample(seed, sample_shape))

    def mean(self) -> Tensor:
        """exp(mu + scale^2 / 2)."""
        return ops.exp(self.mu + 0.5 * ops.exp(2.0 * self.log_scale))

    def mode(self) -> Tensor:
        """exp(mu - scale^2)."""
        return ops.exp(self.mu - ops.exp(2.0 * self.log_scale))

    def best_constant(self, x: np.ndarray) -> "LogNormal":
        """The mean of log x, with the scale that this distribution has."""
        mu = np.broadcast_to(np.log(x.astype("float64")).mean(axis=0), x.shape)
        return LogNormal(mu, ops.broadcast_to(self.log_scale, x.shape), self.event_rank)
