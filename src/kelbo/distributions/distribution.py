"""The contract of a probability distribution: a plain value with log_prob and sample."""

import abc
import copy
import math
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from kelbo.errors import UsageError

# A tensor of whichever backend Keras runs on.
Tensor = Any

LOG_TWO_PI = math.log(2.0 * math.pi)


class Parameterised:
    """A value made of tensors, which has a copy that no gradient flows through."""

    def frozen(self) -> Self:
        """The same value, with every parameter behind `stop_gradient`."""
        frozen = copy.copy(self)
        for name, value in vars(self).items():
            setattr(frozen, name, keras.tree.map_structure(_frozen, value))
        return frozen


def _frozen(value: Any) -> Any:
    if isinstance(value, Parameterised):
        return value.frozen()
    return ops.stop_gradient(value) if ops.is_tensor(value) else value


class Distribution(Parameterised, abc.ABC):
    """A distribution whose parameters are tensors; always computed in float32.

    Shapes are written (S..., batch, *event): any number of sample axes, one batch axis, and
    `event_rank` trailing axes over which one value extends. Nothing is said of how the dimensions
    of one value depend on one another; where they do not, see `Factorised`.

    Args:
        event_rank: the number of trailing axes that make up one value.
    """

    def __init__(self, event_rank: int):
        self.event_rank = event_rank

    @abc.abstractmethod
    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats: (S..., batch, *event) -> (S..., batch)."""

    @abc.abstractmethod
    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw values: (*sample_shape, batch, *event).

        Args:
            seed: a `keras.random.SeedGenerator` (fresh draws at every call) or an int.
            sample_shape: the sample axes to put in front.
        """

    def sample_and_log_prob(
        self, seed: Any, sample_shape: tuple[int, ...] = ()
    ) -> tuple[Tensor, Tensor]:
        """Draw values, (*sample_shape, batch, *event), and their log-density in nats.

        A distribution whose `log_prob` is slow, such as a flow whose inverse is, overrides this.
        """
        value = self.sample(seed, sample_shape)
        return value, self.log_prob(value)

    def mean(self) -> Tensor:
        """The expected value: (batch, *event).

        Raises:
            UsageError: it has no closed form.
        """
        raise self._unknown("mean")

    def mode(self) -> Tensor:
        """The most probable value: (batch, *event).

        Raises:
            UsageError: it has no closed form.
        """
        raise self._unknown("mode")

    def code(self) -> Tensor:
        """The point that stands for the whole distribution, as in a reconstruction.

        It is the mean, (batch, *event), unless a class says otherwise.

        Raises:
            UsageError: the class has neither a mean in closed form nor another such point.
        """
        return self.mean()

    def _unknown(self, what: str) -> UsageError:
        return UsageError(
            f"The {what} of a {type(self).__name__} has no closed form. Draw from it and average: "
            "keras.ops.mean(distribution.sample(seed, (1000,)), axis=0)."
        )

    def best_constant(self, x: np.ndarray) -> "Distribution | None":
        """The distribution of this kind that fits data best and is the same for every datum.

        Its mean log-density is a floor: a model that is not above it has learnt nothing of how
        the dimensions of x go together. What the distribution does not learn from x, such as a
        fixed variance, it keeps.

        Args:
            x: (n, *event); as many as the batch of this distribution.

        Returns:
            A distribution of n equal rows, or None where the best one is not known.
        """
        return None

    def sum_event(self, tensor: Tensor) -> Tensor:
        """Sum over the event axes: (S..., batch, *event) -> (S..., batch)."""
        if self.event_rank == 0:
            return tensor
        return ops.sum(tensor, axis=tuple(range(-self.event_rank, 0)))


class Factorised(Distribution):
    """A distribution whose dimensions are independent: log-densities add up over them."""

    @abc.abstractmethod
    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log-density of each dimension in nats: (S..., batch, *event), unreduced."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats: (S..., batch, *event) -> (S..., batch)."""
        return self.sum_event(self.log_prob_per_dimension(value))


def float32(tensor: Any) -> Tensor:
    """As a float32 tensor: densities are never computed in less, whatever the networks use."""
    return ops.cast(ops.convert_to_tensor(tensor), "float32")


def sampled_shape(parameter: Tensor, sample_shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The shape of a draw: the sample axes before the parameter's own."""
    return (*sample_shape, *ops.shape(parameter))
