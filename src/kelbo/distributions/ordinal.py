"""Ordered levels with independent dimensions, from cumulative logits."""

from typing import Any

import numpy as np
from keras import ops

from kelbo.distributions.categorical import class_shares
from kelbo.distributions.distribution import Factorised, Tensor, float32, sampled_shape
from kelbo.distributions.draws import logistic
from kelbo.distributions.special import log_of_complement


class Ordinal(Factorised):
    """Each dimension is one of K ordered levels: P(x <= k) = sigmoid(cuts_k), k = 0 to K - 2.

    McCullagh, "Regression models for ordinal data", 1980: a logistic variable falls between two
    of K - 1 thresholds.

    Args:
        cuts: the cumulative logits, rising along the last axis, (S..., batch, *event, K - 1).
        event_rank: the number of trailing axes that make up one value; that of the cuts is none.
    """

    def __init__(self, cuts: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.cuts = float32(cuts)

    @property
    def levels(self) -> int:
        """K."""
        return int(self.cuts.shape[-1]) + 1

    @property
    def log_probabilities(self) -> Tensor:
        """Log-probability of each level in nats: (S..., batch, *event, K)."""
        cuts = self.cuts
        certain = ops.zeros_like(cuts[..., :1])
        # P(k) = sigmoid(upper) - sigmoid(lower) = sigmoid(upper) sigmoid(-lower) (1 - e^(lower -
        # upper)), where the lowest level has no lower cut and the highest no upper one.
        below = ops.concatenate([-ops.softplus(-cuts), certain], axis=-1)
        above = ops.concatenate([certain, -ops.softplus(cuts)], axis=-1)
        gaps = log_of_complement(cuts[..., 1:] - cuts[..., :-1])
        return below + above + ops.concatenate([certain, gaps, certain], axis=-1)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-probability of each dimension in nats: (S..., batch, *event), unreduced."""
        which = ops.one_hot(ops.cast(ops.round(float32(value)), "int32"), self.levels)
        return ops.sum(ops.cast(which, "float32") * self.log_probabilities, axis=-1)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw levels, 0 to K - 1: (*sample_shape, batch, *event), float32."""
        noise = logistic(sampled_shape(self.cuts[..., 0], sample_shape), seed)
        return ops.sum(ops.cast(noise[..., None] > self.cuts, "float32"), axis=-1)

    def mean(self) -> Tensor:
        """The expected number of the level, in [0, K - 1]: the sum of P(x > k)."""
        return ops.sum(ops.sigmoid(-self.cuts), axis=-1)

    def mode(self) -> Tensor:
        """The number of the most probable level."""
        return ops.cast(ops.argmax(self.log_probabilities, axis=-1), "float32")

    def best_constant(self, x: np.ndarray) -> "Ordinal":
        """The share of each level in x, by Laplace's rule: a level that never came is possible."""
        below = np.cumsum(class_shares(x, self.levels), axis=-1)[..., :-1]
        cuts = np.log(below) - np.log1p(-below)
        return Ordinal(np.broadcast_to(cuts, (*x.shape, self.levels - 1)), self.event_rank)
