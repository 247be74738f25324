"""A posterior that puts its own heads on a network of features."""

import abc
from typing import Any

import keras
from keras import layers

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.posteriors.posterior import Posterior, flat_features


class FeaturesPosterior(Posterior):
    """q(z|x) whose parameters are Dense layers, without activation, on the features of a network.

    Args:
        network: a keras.Model from x to features, with one output.
        latent_dim: size of z, at least 2.

    Raises:
        UsageError: the network has several outputs, or latent_dim < 2.
    """

    def __init__(self, network: keras.Model, latent_dim: int, **kwargs: Any):
        super().__init__(network, **kwargs)
        latent_dim = whole("latent_dim", latent_dim)
        if len(network.outputs) != 1:
            raise UsageError(
                f"A {type(self).__name__} puts its own layers on features: expected a network with "
                f"one output, received {network.name!r} with {len(network.outputs)}."
            )
        if latent_dim < 2:
            raise UsageError(
                f"A {type(self).__name__} expects latent_dim >= 2, received {latent_dim}. In one "
                "dimension use kelbo.GaussianPosterior."
            )
        self.latent_dim = latent_dim
        for name, units in self.head_sizes(latent_dim).items():
            # A posterior that was frozen when it was saved is made frozen, its heads too.
            head = layers.Dense(units, dtype="float32", name=name, trainable=self.trainable)
            setattr(self, f"{name}_head", head)

    @classmethod
    @abc.abstractmethod
    def head_sizes(cls, latent_dim: int) -> dict[str, int]:
        """The name of each head and how many numbers it gives."""

    def heads(self) -> list[layers.Layer]:
        """The Dense layers."""
        return [getattr(self, f"{name}_head") for name in self.head_sizes(self.latent_dim)]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(latent_dim,)."""
        return (self.latent_dim,)

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of the heads."""
        for head in self.heads():
            head.build((None, flat_features(self.network)))
        super().build(input_shape)

    def of_heads(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """What each head gives by its name, (batch, units)."""
        features = self.flatten(outputs[0])
        return {head.name: head(features) for head in self.heads()}

    def get_config(self) -> dict[str, Any]:
        """The network and the size of z."""
        return {**super().get_config(), "latent_dim": self.latent_dim}
