"""The beta distribution on (0, 1) with independent dimensions, from a mean and a concentration."""

from typing import Any

from keras import ops

from kelbo.distributions.distribution import LOG_TWO_PI, Factorised, Tensor, float32, sampled_shape
from kelbo.distributions.draws import log_gamma_draws, several_seeds
from kelbo.distributions.special import stirling_remainder

# The logarithms of the concentration and of a and b in Beta(a, b) are kept within these.
_MOST, _LEAST = 40.0, -60.0
# Draws are kept this far from 0 and from 1, where the density may be infinite: the largest float32
# below 1, and a number as close to 0.
_MARGIN = 2.0**-24


class Beta(Factorised):
    """Beta(m c, (1 - m) c) with the mean m = sigmoid(logit) and the concentration c.

    The parameters of beta regression (Ferrari and Cribari-Neto, "Beta regression for modelling
    rates and proportions", 2004). The variance is m (1 - m) / (1 + c).

    Args:
        logit: the log-odds of the mean, (S..., batch, *event).
        log_concentration: log c, broadcastable to `logit`.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, logit: Tensor, log_concentration: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.logit = float32(logit)
        self.log_concentration = ops.clip(float32(log_concentration), -_MOST, _MOST)

    @property
    def _logs(self) -> tuple[Tensor, Tensor]:
        """log a and log b of Beta(a, b)."""
        log_a = self.log_concentration - ops.softplus(-self.logit)
        log_b = self.log_concentration - ops.softplus(self.logit)
        return ops.maximum(log_a, _LEAST), ops.maximum(log_b, _LEAST)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced.

        log Gamma(a + b) - log Gamma(a) - log Gamma(b) + (a - 1) log x + (b - 1) log(1 - x), with
        the log Gammas by Stirling's formula.
        """
        x = float32(value)
        log_x, log_rest = ops.log(x), ops.log1p(-x)
        log_a, log_b = self._logs
        log_c = self.log_concentration  # c = a + b
        a, b, c = ops.exp(log_a), ops.exp(log_b), ops.exp(log_c)
        remainders = stirling_remainder(c) - stirling_remainder(a) - stirling_remainder(b)
        return (
            a * (log_x - (log_a - log_c))
            + b * (log_rest - (log_b - log_c))
            - log_x
            - log_rest
            + 0.5 * (log_a + log_b - log_c - LOG_TWO_PI)
            + remainders
        )

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw values strictly between 0 and 1: (*sample_shape, batch, *event).

        A draw is G_a / (G_a + G_b) of two gamma draws, whose logarithms are drawn.
        """
        shape = sampled_shape(self.logit, sample_shape)
        first, second = several_seeds(seed, 2)
        log_a, log_b = self._logs
        one = log_gamma_draws(shape, ops.exp(log_a), first)
        other = log_gamma_draws(shape, ops.exp(log_b), second)
        return ops.clip(ops.sigmoid(one - other), _MARGIN, 1.0 - _MARGIN)

    def mean(self) -> Tensor:
        """sigmoid(logit)."""
        return ops.sigmoid(self.logit)

    def mode(self) -> Tensor:
        """(a - 1) / (a + b - 2) where a and b are above 1.

        Elsewhere the density is largest at an end: at 0 where a < b, at 1 where not. It lies
        outside the support.
        """
        log_a, log_b = self._logs
        a, b = ops.exp(log_a), ops.exp(log_b)
        inside = ops.logical_and(a > 1.0, b > 1.0)
        peak = (a - 1.0) / ops.where(inside, a + b - 2.0, 1.0)
        return ops.where(inside, peak, ops.cast(a >= b, "float32"))
