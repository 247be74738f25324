"""Counts with more zeros than a distribution has of its own."""

from typing import Any

from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor, float32
from kelbo.distributions.draws import several_seeds, uniform
from kelbo.distributions.negative_binomial import NegativeBinomial
from kelbo.distributions.poisson import Poisson


class ZeroInflated(Factorised):
    """0 with probability sigmoid(zero_logit), else a count of another distribution.

    Lambert, "Zero-inflated Poisson regression, with an application to defects in manufacturing",
    1992.

    Args:
        counts: the other distribution, with independent dimensions, (S..., batch, *event).
        zero_logit: the log-odds of an extra zero, of the same shape.
    """

    def __init__(self, counts: Factorised, zero_logit: Tensor):
        super().__init__(counts.event_rank)
        self.counts = counts
        self.zero_logit = float32(zero_logit)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-probability of each dimension in nats: (S..., batch, *event), unreduced."""
        k = float32(value)
        log_prob = self.counts.log_prob_per_dimension(k)
        # log(exp(zero_logit) + exp(log_prob)). The gradient of ops.logaddexp is wrong where both
        # are equal, on TensorFlow.
        log_of_zero = log_prob + ops.softplus(self.zero_logit - log_prob)
        return ops.where(k > 0.5, log_prob, log_of_zero) - ops.softplus(self.zero_logit)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw counts: (*sample_shape, batch, *event), float32."""
        first, second = several_seeds(seed, 2)
        counts = self.counts.sample(first, sample_shape)
        kept = uniform(ops.shape(counts), second) > ops.sigmoid(self.zero_logit)
        return ops.where(kept, counts, 0.0)

    def mean(self) -> Tensor:
        """The mean of the counts, times the probability that they are counted."""
        return ops.sigmoid(-self.zero_logit) * self.counts.mean()

    def mode(self) -> Tensor:
        """0 or the mode of the counts, whichever is more probable."""
        other = self.counts.mode()
        is_more = self.log_prob_per_dimension(other) > self.log_prob_per_dimension(0.0 * other)
        return ops.where(is_more, other, 0.0)


class ZeroInflatedPoisson(ZeroInflated):
    """The zero-inflated Poisson distribution.

    Args:
        log_rate: of the counts, (S..., batch, *event).
        zero_logit: the log-odds of an extra zero, of the same shape.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, log_rate: Tensor, zero_logit: Tensor, event_rank: int = 1):
        super().__init__(Poisson(log_rate, event_rank), zero_logit)


class ZeroInflatedNegativeBinomial(ZeroInflated):
    """The zero-inflated negative binomial distribution.

    Args:
        log_mean: of the counts, (S..., batch, *event).
        zero_logit: the log-odds of an extra zero, of the same shape.
        log_dispersion: log theta of the counts, broadcastable to `log_mean`.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(
        self, log_mean: Tensor, zero_logit: Tensor, log_dispersion: Tensor, event_rank: int = 1
    ):
        super().__init__(NegativeBinomial(log_mean, log_dispersion, event_rank), zero_logit)
