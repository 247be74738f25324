"""The negative binomial distribution with independent dimensions, from a mean and a dispersion."""

from typing import Any

import numpy as np
from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor, float32, sampled_shape
from kelbo.distributions.draws import log_gamma_draws, poisson, several_seeds
from kelbo.distributions.poisson import constant_log_mean, log_ratio, log_size
from kelbo.distributions.special import stirling_remainder


class NegativeBinomial(Factorised):
    """Counts with mean mu and variance mu + mu^2 / theta: Poisson with a rate that is gamma.

    As theta grows it becomes the Poisson distribution (Hilbe, "Negative Binomial Regression", 2011,
    NB2). theta is the `inverse dispersion` of Lopez et al., "Deep generative modeling for
    single-cell transcriptomics", 2018.

    Args:
        log_mean: log mu, (S..., batch, *event).
        log_dispersion: log theta, broadcastable to `log_mean`.
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, log_mean: Tensor, log_dispersion: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.log_mean = float32(log_mean)
        # Beyond exp(30) a float32 no longer tells it from the Poisson distribution.
        self.log_dispersion = ops.clip(float32(log_dispersion), -30.0, 30.0)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-probability of each dimension in nats: (S..., batch, *event), unreduced.

        log Gamma(k + theta) - log Gamma(theta) - log k! + theta log(theta / (theta + mu))
        + k log(mu / (theta + mu)), with the log Gammas by Stirling's formula. Written so it is
        exact for a theta of 1e8, too, where the log Gammas' own difference has no digit left.
        """
        k = float32(value)
        mean, theta = ops.exp(self.log_mean), ops.exp(self.log_dispersion)
        # log((k + theta) / (mu + theta)): the larger of the two is divided by the smaller.
        is_more = k > mean
        more, less = ops.where(is_more, k - mean, 0.0), ops.where(is_more, 0.0, mean - k)
        log_odds = ops.log1p(more / (mean + theta)) - ops.log1p(less / (k + theta))
        return (
            (k + theta) * log_odds
            - k * log_ratio(k + 1.0, self.log_mean)
            + 1.0
            - log_size(k)
            - 0.5 * ops.log1p(k / theta)
            + stirling_remainder(k + theta)
            - stirling_remainder(theta)
        )

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw counts: (*sample_shape, batch, *event), float32."""
        shape = sampled_shape(self.log_mean, sample_shape)
        first, second = several_seeds(seed, 2)
        gamma = log_gamma_draws(shape, ops.exp(self.log_dispersion), first)
        return poisson(shape, ops.exp(gamma + self.log_mean - self.log_dispersion), second)

    def mean(self) -> Tensor:
        """mu."""
        return ops.exp(self.log_mean)

    def mode(self) -> Tensor:
        """The largest whole number not above mu (theta - 1) / theta; 0 where theta is below 1."""
        share = 1.0 - ops.exp(-self.log_dispersion)
        return ops.floor(ops.exp(self.log_mean) * ops.relu(share))

    def best_constant(self, x: np.ndarray) -> "NegativeBinomial":
        """The mean of x, which is the likeliest for every theta, with this one's theta."""
        theta = ops.broadcast_to(self.log_dispersion, x.shape)
        return NegativeBinomial(constant_log_mean(x), theta, self.event_rank)
