"""The Bernoulli distribution with independent dimensions, from logits."""

import keras
from keras import ops

from kelbo.distributions.distribution import Distribution, Tensor, float32, sampled_shape


class Bernoulli(Distribution):
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
