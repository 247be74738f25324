"""The categorical distribution with independent dimensions, from logits."""

from typing import Any

import numpy as np
from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor, float32
from kelbo.distributions.draws import categorical


class Categorical(Factorised):
    """Each dimension is one of K classes, 0 to K - 1, with probabilities softmax(logits).

    A value is the number of the class, (S..., batch, *event), and no one-hot code. Numbers of
    classes have no mean: `mode` shows them.

    Args:
        logits: (S..., batch, *event, K).
        event_rank: the number of trailing axes that make up one value; that of K is none of them.
    """

    def __init__(self, logits: Tensor, event_rank: int = 1):
        super().__init__(event_rank)
        self.logits = float32(logits)

    @property
    def classes(self) -> int:
        """K."""
        return int(self.logits.shape[-1])

    @property
    def log_probabilities(self) -> Tensor:
        """Log-probability of each class in nats: (S..., batch, *event, K)."""
        return ops.log_softmax(self.logits, axis=-1)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-probability of each dimension in nats: (S..., batch, *event), unreduced."""
        which = ops.one_hot(ops.cast(ops.round(float32(value)), "int32"), self.classes)
        return ops.sum(ops.cast(which, "float32") * self.log_probabilities, axis=-1)

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw numbers of classes: (*sample_shape, batch, *event), float32."""
        return ops.cast(categorical(self.logits, sample_shape, seed), "float32")

    def mode(self) -> Tensor:
        """The number of the most probable class."""
        return ops.cast(ops.argmax(self.logits, axis=-1), "float32")

    def best_constant(self, x: np.ndarray) -> "Categorical":
        """The share of each class in x, by Laplace's rule: a class that never came is possible."""
        shares = class_shares(x, self.classes)
        return Categorical(
            np.broadcast_to(np.log(shares), (*x.shape, self.classes)), self.event_rank
        )


def class_shares(x: np.ndarray, classes: int) -> np.ndarray:
    """The share of each class in each dimension of data, by Laplace's rule: (*event, K).

    Args:
        x: numbers of classes, (n, *event).
        classes: K.
    """
    counts = np.stack([(np.round(x) == k).sum(axis=0) for k in range(classes)], axis=-1)
    return (counts + 1.0) / (len(x) + classes)
