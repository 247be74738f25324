"""The Bernoulli distribution with independent dimensions, from logits."""

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor, float32, sampled_shape


class Bernoulli(Factorised):
    """Bernoulli(sigmoid(logits)).

    For a value in {0, 1} `log_prob` is the log-probability. For a grey value strictly between, it
    is minus the binary cross-entropy, which is not a log-likelihood.

    Args:
        logits: log-odds of a one, (S..., batch, *event).
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, logits: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.logits = float32(logits)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-probability of each dimension in nats: (S..., batch, *event), unreduced."""
        # x log p + (1 - x) log(1 - p) with p = sigmoid(logits), written without any log of p.
        return float32(value) * self.logits - ops.softplus(self.logits)

    def sample(self, seed: int | keras.random.SeedGenerator, sample_shape: tuple = ()) -> Tensor:
        """Draw zeros and ones: (*sample_shape, batch, *event), float32."""
        uniform = keras.random.uniform(
            sampled_shape(self.logits, sample_shape), dtype="float32", seed=seed
        )
        return ops.cast(uniform < self.mean(), "float32")

    def mean(self) -> Tensor:
        """The probability of a one."""
        return ops.sigmoid(self.logits)

    def mode(self) -> Tensor:
        """The more probable of 0 and 1."""
        return ops.cast(self.logits > 0.0, "float32")

    def best_constant(self, x: np.ndarray) -> "Bernoulli":
        """Bernoulli(mean of x), by Laplace's rule: a pixel that was never on stays possible."""
        mean = laplace_mean(x.sum(axis=0, dtype="float64"), len(x))
        logits = np.broadcast_to(np.log(mean) - np.log1p(-mean), x.shape)
        return Bernoulli(logits, self.event_rank)


def laplace_mean(total: np.ndarray, count: int) -> np.ndarray:
    """The probability of a one in each dimension, from the sum of `count` values in [0, 1].

    By Laplace's rule of succession it is never 0 or 1.
    """
    return (total + 1.0) / (count + 2.0)
