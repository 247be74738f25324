"""The contract of an approximate posterior q(z|x)."""

import abc
import math
from typing import Any

import keras
from keras import layers

from kelbo.conditional import Conditional
from kelbo.distributions.distribution import Tensor


class Posterior(Conditional):
    """q(z|x): the context is a datum x, the value a latent vector z of shape (latent_dim,)."""

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(network, **kwargs)
        self.flatten_layer = layers.Flatten(dtype="float32", name="flatten_features")

    def build(self, input_shape: Any = None) -> None:
        """Build every layer: with one left, Keras would trace the model anew in each `fit`."""
        self.flatten_layer.build((None, *self.network.outputs[0].shape[1:]))
        super().build(input_shape)

    def flatten(self, features: Tensor) -> Tensor:
        """Features as one vector a datum: a network of the user's own may end in a feature map."""
        return features if len(features.shape) == 2 else self.flatten_layer(features)

    @abc.abstractmethod
    def sampling(self, parameters: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
        """Symbolically: z drawn by a layer named `enc_out_z`, for the plain keras encoder."""

    def encoder(self) -> keras.Model:
        """A plain keras model from x to the sampled z, sharing every layer of this posterior."""
        outputs = list(self.network.outputs)
        z = self.sampling(self.parameters(outputs))
        return keras.Model(self.network.inputs[0], z, name="encoder")


def flat_features(network: keras.Model) -> int:
    """How many numbers the network's first output has for one datum."""
    return math.prod(network.outputs[0].shape[1:])
