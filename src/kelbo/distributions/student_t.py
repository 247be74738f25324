"""Student's t distribution with independent dimensions, a location and a scale."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import LOG_TWO_PI, Factorised, Tensor, float32, sampled_shape
from kelbo.distributions.draws import log_gamma_draws, several_seeds
from kelbo.distributions.special import stirling_remainder


class StudentT(Factorised):
    """x = location + exp(log_scale) t, where t has 1 + exp(log_excess) degrees of freedom.

    There is more than one degree of freedom, so that the mean exists; the variance is infinite up
    to two. Without end it is the normal distribution.

    Args:
        location: the mean, (S..., batch, *event).
        log_scale: the logarithm of the scale, broadcastable to `location`.
        log_excess: log(nu - 1) of the degrees of freedom nu, likewise.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(
        self, location: Tensor, log_scale: Tensor, log_excess: Tensor, event_rank: int = 1
    ):
        super().__init__(event_rank)
        self.location = float32(location)
        self.log_scale = float32(log_scale)
        # Beyond exp(25) a float32 no longer tells it from the normal distribution.
        self.log_excess = ops.clip(float32(log_excess), -25.0, 25.0)

    @property
    def degrees(self) -> Tensor:
        """The degrees of freedom, nu."""
        return 1.0 + ops.exp(self.log_excess)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced.

        log Gamma((nu + 1) / 2) - log Gamma(nu / 2) - log(pi nu) / 2 - log scale
        - (nu + 1) / 2 log(1 + t^2 / nu), with the log Gammas by Stirling's formula.
        """
        half = 0.5 * self.degrees
        t = (float32(value) - self.location) * ops.exp(-self.log_scale)
        log_constant = (
            half * ops.log1p(0.5 / half)
            - 0.5 * (1.0 + LOG_TWO_PI)
            + stirling_remainder(half + 0.5)
            - stirling_remainder(half)
        )
        return log_constant - self.log_scale - (half + 0.5) * ops.log1p(0.5 * ops.square(t) / half)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw location + scale * normal / sqrt(chi^2 / nu): (*sample_shape, batch, *event)."""
        shape = sampled_shape(self.location, sample_shape)
        first, second = several_seeds(seed, 2)
        normal = keras.random.normal(shape, dtype="float32", seed=first)
        half = 0.5 * self.degrees
        log_chi = log_gamma_draws(shape, half, second) - ops.log(half)
        return self.location + ops.exp(self.log_scale - 0.5 * log_chi) * normal

    def mean(self) -> Tensor:
        """The location."""
        return self.location

    def mode(self) -> Tensor:
        """The location."""
        return self.location
