"""The contract of a flow: a layer that makes a bijector of z."""

import abc
import math
from typing import Any

import keras

from kelbo.conditional import float32_layer
from kelbo.distributions.bijector import Bijector, Chain
from kelbo.distributions.distribution import Tensor
from kelbo.kinds import at_least_one

# softplus(x + this) is 1 at x = 0: what must be positive begins at 1, and the flow at the identity.
ONE = math.log(math.e - 1.0)


class Flow(keras.Layer, abc.ABC):
    """A chain of bijectors whose parameters are learned.

    Weights that all data share belong to the layer. What the encoder decides for each datum is
    declared by `head_sizes`: a FlowPosterior has a Dense layer for each, and hands over what they
    give.

    Args:
        num_layers: how many bijectors follow one another.

    Raises:
        UsageError: `num_layers` is no whole number >= 1.

    Attributes:
        invertible: whether the inverse is a formula, so that the density of any z is known.
        amortised: whether it is nothing without an encoder, and so serves no prior.
    """

    invertible: bool = True
    amortised: bool = False

    def __init__(self, num_layers: int, **kwargs: Any):
        super().__init__(**float32_layer(type(self).__name__, kwargs))
        self.num_layers = at_least_one(type(self).__name__, "num_layers", num_layers)

    def head_sizes(self, latent_dim: int) -> dict[str, int]:
        """What an encoder gives for each datum: how many numbers, by name."""
        return {}

    def build(self, latent_dim: int, has_encoder: bool = False) -> None:
        """Make the weights.

        Args:
            latent_dim: d, the number of values in z.
            has_encoder: whether an encoder gives what `head_sizes` declares.
        """
        self.latent_dim = latent_dim
        self.built = True

    def bijector(self, parameters: dict[str, Tensor]) -> Bijector:
        """The chain of bijectors of R^d.

        Args:
            parameters: what an encoder gives by name, (batch, size) each; {} without one.
        """
        return Chain(self.bijectors(parameters))

    @abc.abstractmethod
    def bijectors(self, parameters: dict[str, Tensor]) -> list[Bijector]:
        """The bijectors of the chain, the one next to the base first."""

    def get_config(self) -> dict[str, Any]:
        """The number of layers and the layer's own settings."""
        return {**super().get_config(), "num_layers": self.num_layers}


class AmortisedFlow(Flow):
    """A flow whose every parameter comes from the encoder."""

    amortised = True
    # Of what the encoder gives: all parameters of all bijectors side by side.
    parameter: str

    @abc.abstractmethod
    def sizes(self, latent_dim: int) -> list[int]:
        """How many numbers each parameter of one bijector has."""

    @abc.abstractmethod
    def one(self, parameters: list[Tensor]) -> Bijector:
        """One bijector of its parameters, (batch, size) each."""

    def head_sizes(self, latent_dim: int) -> dict[str, int]:
        """All parameters of all bijectors."""
        return {self.parameter: self.num_layers * sum(self.sizes(latent_dim))}

    def bijectors(self, parameters: dict[str, Tensor]) -> list[Bijector]:
        """Each of its share of the parameters."""
        every, start, made = parameters[self.parameter], 0, []
        for _ in range(self.num_layers):
            shares = []
            for size in self.sizes(self.latent_dim):
                shares.append(every[..., start : start + size])
                start += size
            made.append(self.one(shares))
        return made
