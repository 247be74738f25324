"""The deterministic code of an autoencoder: q(z|x) puts all its mass on one point."""

from typing import Any

import keras
from keras import layers, ops

from kelbo.distributions.distribution import Tensor
from kelbo.distributions.point_mass import PointMass
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.posteriors.posterior import Posterior, flat_features

ACTIVATIONS = ("linear", "sigmoid")


@keras.saving.register_keras_serializable("kelbo")
class DeterministicPosterior(Posterior):
    """z = Dense(latent_dim)(network(x)): the encoder of a plain autoencoder.

    Args:
        network: a keras.Model from x to features.
        latent_dim: size of z; kelbo puts one Dense layer of it on the features, `enc_out_z`.
        activation: of that layer, "linear" or "sigmoid", a code of units between off and on.
        keep: how many of the largest values of a code stay, all others being 0, always (Makhzani
            and Frey, "k-sparse autoencoders", 2014); all of them where None.

    Raises:
        UsageError: the network has several outputs, or an argument is none of these.
    """

    has_log_prob = False

    def __init__(
        self,
        network: keras.Model,
        latent_dim: int,
        activation: str = "linear",
        keep: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(network, **kwargs)
        if len(network.outputs) != 1 or latent_dim < 1:
            raise UsageError(
                "A DeterministicPosterior expected a network with one output and latent_dim >= 1, "
                f"received {len(network.outputs)} outputs and latent_dim={latent_dim}."
            )
        if activation not in ACTIVATIONS:
            raise UsageError(
                f"Expected the activation 'linear' or 'sigmoid', received {activation!r}."
            )
        if keep is not None and not 1 <= whole("keep", keep) <= latent_dim:
            raise UsageError(
                f"Expected to keep from 1 to all {latent_dim} values of the code, received {keep}."
            )
        self.latent_dim = latent_dim
        self.activation = activation
        self.keep = None if keep is None else int(keep)
        self.z = layers.Dense(
            latent_dim,
            activation,
            dtype="float32",
            name="enc_out_z",
            trainable=self.trainable,
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
        z = self.z(self.flatten(outputs[0]))
        if self.keep is None:
            return {"z": z}
        # Which are the largest has no gradient; the values that stay have theirs.
        _, largest = ops.top_k(z, self.keep, sorted=False)
        kept = ops.sum(ops.one_hot(largest, self.latent_dim, dtype="float32"), axis=-2)
        return {"z": z * kept}

    def distribution(self, parameters: dict[str, Tensor]) -> PointMass:
        """All mass on the point."""
        return PointMass(parameters["z"])

    def sampling(
        self,
        parameters: dict[str, keras.KerasTensor],
        seed: int | None = None,
        name: str = "enc_out_z",
    ) -> keras.KerasTensor:
        """The point: the layer `enc_out_z` is the Dense layer itself, of which `keep` may stay."""
        return parameters["z"]

    def get_config(self) -> dict[str, Any]:
        """The network, the size of z, the activation and how many values stay."""
        own = {"latent_dim": self.latent_dim, "activation": self.activation, "keep": self.keep}
        return {**super().get_config(), **own}
