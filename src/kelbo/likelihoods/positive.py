"""A parameter > 0 of a likelihood, such as a scale: fixed, learned, or an output of the network."""

import math
from numbers import Real
from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError

# The parameter is an output of the network.
NETWORK = "network"
_LEARNED = ("shared", "per-dimension")


def positive_choice(owner: str, name: str, value: Any, above: float = 0.0) -> float | str:
    """A choice of a positive parameter: a number, "shared", "per-dimension" or "network".

    Args:
        owner: whose parameter it is, for the message.
        name: its name.
        value: the choice.
        above: what a number must be larger than.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(value, Real) and not isinstance(value, bool) and above < float(value) < math.inf:
        return float(value)
    if value in (*_LEARNED, NETWORK):
        return str(value)
    raise UsageError(
        f"The {name} of a {owner} is expected to be a number > {above:g}, 'shared' (learned, one "
        "for all dimensions), 'per-dimension' (learned, one for each) or 'network' (an output of "
        f"the network), received {value!r}."
    )


@keras.saving.register_keras_serializable("kelbo")
class Positive(keras.Layer):
    """The logarithm of a positive parameter that no network gives.

    Args:
        choice: a fixed number, "shared" or "per-dimension".
        above: a lower bound of the parameter; the logarithm is that of what exceeds it.
        initial: where a learned excess starts.
    """

    def __init__(
        self, choice: float | str, above: float = 0.0, initial: float = 1.0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.choice = choice
        self.above = above
        self.initial = initial

    def build(self, input_shape: Any) -> None:
        """Make the weight, where one is learned; `input_shape` is that of a batch of data."""
        if isinstance(self.choice, str):
            self.log_value = self.add_weight(
                shape=() if self.choice == "shared" else tuple(input_shape[1:]),
                initializer=keras.initializers.Constant(math.log(self.initial)),
                dtype="float32",
                autocast=False,
                name="log_value",
            )
        super().build(input_shape)

    @property
    def log(self) -> Tensor:
        """The logarithm of what exceeds `above`: a scalar, or of the shape of a datum."""
        if isinstance(self.choice, str):
            return self.log_value
        return math.log(self.choice - self.above)

    def call(self, inputs: Tensor) -> Tensor:
        """The logarithm for each dimension of each datum of a tensor: of its shape."""
        return ops.zeros_like(inputs) + self.log

    def get_config(self) -> dict[str, Any]:
        """The choice and where it starts."""
        own = {"choice": self.choice, "above": self.above, "initial": self.initial}
        return {**super().get_config(), **own}
