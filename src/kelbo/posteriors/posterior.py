"""The contract of an approximate posterior q(z|x)."""

import abc
import math
from typing import Any, Self

import keras
from keras import layers

from kelbo.conditional import Conditional
from kelbo.distributions.distribution import Tensor, float32
from kelbo.posteriors.mask import mask_of


class Posterior(Conditional):
    """q(z|x): the context is a datum x, the value a latent z, mostly of shape (latent_dim,).

    A network of several inputs has one named "x"; the others are conditions, by their names.

    Attributes:
        on_sphere: whether z lies on the unit sphere, and not anywhere in R^d.
        has_log_prob: whether log q(z|x) of any z is known, and not of draws alone.
    """

    on_sphere: bool = False
    has_log_prob: bool = True

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(network, **kwargs)
        self.flatten_layer = layers.Flatten(dtype="float32", name="flatten_features")
        # Past Keras's tracking of attributes: its layers are the network's own.
        self.__dict__["_mask"] = mask_of(type(self).__name__, network)

    def heads(self) -> list[layers.Layer]:
        """The layers with weights that this posterior puts on the network."""
        return []

    def get_config(self) -> dict[str, Any]:
        """The network, the layer's own settings and the heads that are frozen."""
        config = super().get_config()
        # `vae.encoder.trainable = False` freezes them and not this posterior.
        frozen = [head.name for head in self.heads() if not head.trainable]
        return {**config, "frozen_heads": frozen} if frozen else config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        config = dict(config)
        frozen = config.pop("frozen_heads", [])
        posterior = super().from_config(config)
        for head in posterior.heads():
            head.trainable = head.trainable and head.name not in frozen
        return posterior

    def build(self, input_shape: Any = None) -> None:
        """Build every layer: with one left, Keras would trace the model anew in each `fit`."""
        self.flatten_layer.build((None, *self.network.outputs[0].shape[1:]))
        super().build(input_shape)

    def flatten(self, features: Tensor) -> Tensor:
        """Features as one vector a datum: a network of the user's own may end in a feature map."""
        return features if len(features.shape) == 2 else self.flatten_layer(features)

    @property
    def masks(self) -> bool:
        """Whether the network masks part of x, as padding."""
        return self.__dict__["_mask"] is not None

    def observed(self, x: Tensor) -> Tensor | None:
        """Which positions of x the network does not mask: (batch, ...) of bool, or None for all.

        Its axes are the first axes of x, such as the steps of a sequence that is padded.
        """
        mask = self.__dict__["_mask"]
        return None if mask is None else mask(x)

    @abc.abstractmethod
    def sampling(
        self,
        parameters: dict[str, keras.KerasTensor],
        seed: int | None = None,
        name: str = "enc_out_z",
    ) -> keras.KerasTensor:
        """Symbolically: z drawn by a layer, for the plain keras encoder.

        Args:
            parameters: of q(z|x), symbolic.
            seed: of the draws; None takes Keras's global seed.
            name: of the layer.
        """

    def encoder(self, seed: int | None = None) -> keras.Model:
        """A plain keras model from x to a random draw of z, sharing every layer of this posterior.

        Its last layer is `enc_out_z`.

        Args:
            seed: of its draws; None takes Keras's global seed.
        """
        z = self.sampling(self.parameters(list(self.network.outputs)), seed)
        return keras.Model(self.inputs, z, name="encoder")

    def deterministic_encoder(self) -> keras.Model:
        """A plain keras model from x to the parameters of q(z|x) by name, sharing every layer.

        Nothing in it is random and no layer is kelbo's own, so that it can be exported and loads
        without kelbo where the network does.
        """
        parameters = self.parameters(list(self.network.outputs))
        outputs = {
            name: value if value.dtype == "float32" else float32(value)
            for name, value in parameters.items()
        }
        return keras.Model(self.inputs, outputs, name="deterministic_encoder")


def flat_features(network: keras.Model) -> int:
    """How many numbers the network's first output has for one datum."""
    return math.prod(network.outputs[0].shape[1:])
