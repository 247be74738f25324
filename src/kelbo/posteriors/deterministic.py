"""The deterministic code of an autoencoder: q(z|x) puts all its mass on one point."""

from typing import Any

import keras
from keras import layers

from kelbo.distributions.distribution import Tensor
from kelbo.distributions.point_mass import PointMass
from kelbo.errors import UsageError
from kelbo.posteriors.posterior import Posterior, flat_features


@keras.saving.register_keras_serializable("kelbo")
class DeterministicPosterior(Posterior):
    """z = Dense(latent_dim)(network(x)): the encoder of a plain autoencoder.

    Args:
        network: a keras.Model from x to features.
        latent_dim: size of z; kelbo puts one Dense layer of it on the features, `enc_out_z`.

    Raises:
        UsageError: the network has several outputs, or latent_dim is no size.
    """

    def __init__(self, network: keras.Model, latent_dim: int, **kwargs: Any):
        super().__init__(network, **kwargs)
        if len(network.outputs) != 1 or latent_dim < 1:
            raise UsageError(
                "A DeterministicPosterior expected a network with one output and latent_dim >= 1, "
                f"received {len(network.outputs)} outputs and latent_dim={latent_dim}."
            )
        self.latent_dim = latent_dim
        self.z = layers.Dense(
            latent_dim, dtype="float32", name="enc_out_z", trainable=self.trainable
        )

    def heads(self) -> list[layers.Layer]:
        """The Dense layer."""
        return [self.z]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(latent_dim,)."""
        return (self.latent_dim,)

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of the Dense layer."""
        self.z.build((None, flat_features(self.network)))
        super().build(input_shape)

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The point, (batch, latent_dim)."""
        return {"z": self.z(self.flatten(outputs[0]))}

    def distribution(self, parameters: dict[str, Tensor]) -> PointMass:
        """All mass on the point."""
        return PointMass(parameters["z"])

    def sampling(
        self, parameters: dict[str, keras.KerasTensor], seed: int | None = None
    ) -> keras.KerasTensor:
        """The point: the layer `enc_out_z` is the Dense layer itself."""
        return parameters["z"]

    def get_config(self) -> dict[str, Any]:
        """The network and the size of z."""
        return {**super().get_config(), "latent_dim": self.latent_dim}
