"""The contract of a probability distribution: a plain value with log_prob and sample."""

import abc
import math
from typing import Any

from keras import ops

# A tensor of whichever backend Keras runs on.
Tensor = Any

LOG_TWO_PI = math.log(2.0 * math.pi)


class Distribution(abc.ABC):
    """A distribution whose parameters are tensors; always computed in float32.

    Shapes are written (S..., batch, *event): any number of sample axes, one batch axis, and
    `event_rank` trailing axes over which one value extends. The dimensions of one value are
    independent, so the log-density of a value is the sum over its event axes.

    Args:
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, event_rank: int):
        self.event_rank = event_rank

    @abc.abstractmethod
    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced."""

    @abc.abstractmethod
    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw values: (*sample_shape, batch, *event).

        Args:
            seed: a `keras.random.SeedGenerator` (fresh draws at every call) or an int.
            sample_shape: the sample axes to put in front.
        """

    @abc.abstractmethod
    def mean(self) -> Tensor:
        """The expected value: (batch, *event)."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats: (S..., batch, *event) -> (S..., batch)."""
        return self.sum_event(self.log_prob_per_dimension(value))

    def sum_event(self, tensor: Tensor) -> Tensor:
        """Sum over the event axes: (S..., batch, *event) -> (S..., batch)."""
        if self.event_rank == 0:
            return tensor
        return ops.sum(tensor, axis=tuple(range(-self.event_rank, 0)))


def float32(tensor: Any) -> Tensor:
    """As a float32 tensor: densities are never computed in less, whatever the networks use."""
    return ops.cast(ops.convert_to_tensor(tensor), "float32")


def sampled_shape(parameter: Tensor, sample_shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The shape of a draw: the sample axes before the parameter's own."""
    return (*sample_shape, *ops.shape(parameter))
