"""The Poisson distribution with independent dimensions."""

from typing import Any

import numpy as np
from keras import ops

from kelbo.distributions.distribution import LOG_TWO_PI, Factorised, Tensor, float32, sampled_shape
from kelbo.distributions.draws import poisson
from kelbo.distributions.special import stirling_remainder


class Poisson(Factorised):
    """Counts 0, 1, 2, ... with mean and variance exp(log_rate).

    Args:
        log_rate: (S..., batch, *event).
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, log_rate: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.log_rate = float32(log_rate)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-probability of each dimension in nats: (S..., batch, *event), unreduced.

        k log rate - rate - log k!, with k! = Gamma(k + 1) by Stirling's formula.
        """
        k = float32(value)
        log_odds = log_ratio(k + 1.0, self.log_rate)
        return -k * log_odds + (k + 1.0 - ops.exp(self.log_rate)) - log_size(k)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw counts: (*sample_shape, batch, *event), float32."""
        return poisson(sampled_shape(self.log_rate, sample_shape), ops.exp(self.log_rate), seed)

    def mean(self) -> Tensor:
        """The rate."""
        return ops.exp(self.log_rate)

    def mode(self) -> Tensor:
        """The largest whole number that is not above the rate."""
        return ops.floor(ops.exp(self.log_rate))

    def best_constant(self, x: np.ndarray) -> "Poisson":
        """The mean of x; half a count for a dimension that is 0 in all data."""
        return Poisson(constant_log_mean(x), self.event_rank)


def log_ratio(value: Tensor, log_mean: Tensor) -> Tensor:
    """log(value / mean), without the digits that a difference of large logarithms loses."""
    difference = ops.log(value) - log_mean
    near = ops.abs(difference) < 1.0
    # Both branches of a `where` are differentiated, so each gets an argument at which it is finite.
    mean = ops.exp(ops.where(near, log_mean, 0.0))
    close = ops.log1p((ops.where(near, value, 1.0) - mean) / mean)
    return ops.where(near, close, difference)


def log_size(k: Tensor) -> Tensor:
    """log k! - [k log(k + 1) - (k + 1)], elementwise: what is small in Stirling's formula."""
    return 0.5 * (LOG_TWO_PI + ops.log(k + 1.0)) + stirling_remainder(k + 1.0)


def constant_log_mean(x: np.ndarray) -> np.ndarray:
    """The logarithm of the mean of counts, (n, *event) of equal rows.

    Half a count stands for none at all: a count that never came stays possible.
    """
    total = np.maximum(x.sum(axis=0, dtype="float64"), 0.5)
    return np.broadcast_to(np.log(total / len(x)), x.shape)
