"""The diagonal Gaussian posterior q(z|x) = N(mu(x), diag(exp(log_var(x))))."""

import math
from typing import Any

import keras
from keras import layers

from kelbo.distributions import Normal
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.networks.output_range import check_all_reals
from kelbo.posteriors.posterior import Posterior, flat_features
from kelbo.seeds import folded

# Where N(0, 1) has all but 0.01% of its mass, and variances from 0.02 to 1: a clip beyond that is
# a guard.
_ENOUGH_FOR_MU = (-4.0, 4.0)
_ENOUGH_FOR_LOG_VAR = (-4.0, 0.0)


@keras.saving.register_keras_serializable("kelbo")
class GaussianSampling(layers.Layer):
    """z = mu + exp(log_var / 2) * epsilon with fresh epsilon ~ N(0, 1) for every sample.

    Takes [mu, log_var], each (batch, *latent_shape); returns z, (batch, *latent_shape).
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(folded(seed))

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Draw one z for each row."""
        mu, log_var = inputs
        return Normal(mu, log_var, len(mu.shape) - 1).sample(self.seed_generator)

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """The shape of mu."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """The seed and the layer's own settings."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("kelbo")
class GaussianPosterior(Posterior):
    """q(z|x) with independent normal dimensions (Kingma and Welling 2014, section 3).

    Args:
        network: a keras.Model from x to features, on which kelbo puts two Dense layers without
            activation, named `mu` and `log_var`; or a model with two outputs, mu and log_var
            themselves, of one shape: (batch, latent_dim), or (batch, 4, 4, 2) of a z that is an
            image.
        latent_dim: size of z; required with a network of one output, refused otherwise.

    Raises:
        UsageError: the network's outputs are neither, or an activation keeps mu or log_var from
            the values that they need.
    """

    def __init__(self, network: keras.Model, latent_dim: int | None = None, **kwargs: Any):
        super().__init__(network, **kwargs)
        shapes = [tuple(output.shape[1:]) for output in network.outputs]
        latent_dim = None if latent_dim is None else whole("latent_dim", latent_dim)
        if len(shapes) == 1:
            if latent_dim is None or latent_dim < 1:
                raise UsageError(
                    "A GaussianPosterior on a network with one output puts the layers mu and "
                    f"log_var on it and needs their size: expected latent_dim >= 1, received "
                    f"{latent_dim}."
                )
            # A posterior that was frozen when it was saved is made frozen, its heads too.
            kwargs = {"dtype": "float32", "trainable": self.trainable}
            self.mu = layers.Dense(latent_dim, name="mu", **kwargs)
            self.log_var = layers.Dense(latent_dim, name="log_var", **kwargs)
            self.latent_dim = latent_dim
        elif len(shapes) != 2 or shapes[0] != shapes[1] or not shapes[0]:
            raise UsageError(
                "A GaussianPosterior expected a network with one output (features) or two of one "
                f"shape, mu and log_var; {network.name!r} has outputs of shapes {shapes}. z "
                "itself is not wanted: kelbo draws it."
            )
        elif latent_dim not in (None, math.prod(shapes[0])):
            raise UsageError(
                f"The network {network.name!r} gives mu and log_var of size "
                f"{math.prod(shapes[0])}, but latent_dim={latent_dim} was asked for. Leave "
                "latent_dim out."
            )
        else:
            _check_order(network)
            check_all_reals("A GaussianPosterior", network, 0, "mu", _ENOUGH_FOR_MU)
            check_all_reals(
                "A GaussianPosterior", network, 1, "log_var = log sigma^2", _ENOUGH_FOR_LOG_VAR
            )
            self.latent_dim = math.prod(shapes[0])

    @property
    def has_heads(self) -> bool:
        """Whether kelbo put the layers mu and log_var on the network."""
        return len(self.network.outputs) == 1

    def heads(self) -> list[layers.Layer]:
        """The layers mu and log_var, where kelbo put them."""
        return [self.mu, self.log_var] if self.has_heads else []

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(latent_dim,), or the shape of the network's mu."""
        if self.has_heads:
            return (self.latent_dim,)
        return tuple(self.network.outputs[0].shape[1:])

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of mu and log_var."""
        if self.has_heads:
            features = flat_features(self.network)
            self.mu.build((None, features))
            self.log_var.build((None, features))
        super().build(input_shape)

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """Mu and log_var, each (batch, *latent_shape)."""
        if not self.has_heads:
            return {"mu": outputs[0], "log_var": outputs[1]}
        features = self.flatten(outputs[0])
        return {"mu": self.mu(features), "log_var": self.log_var(features)}

    def distribution(self, parameters: dict[str, Tensor]) -> Normal:
        """N(mu, diag(exp(log_var)))."""
        return Normal(parameters["mu"], parameters["log_var"], self.event_rank)

    def sampling(
        self,
        parameters: dict[str, keras.KerasTensor],
        seed: int | None = None,
        name: str = "enc_out_z",
    ) -> keras.KerasTensor:
        """The sampled point, by a `GaussianSampling` layer."""
        layer = GaussianSampling(seed, dtype="float32", name=name)
        return layer([parameters["mu"], parameters["log_var"]])

    def get_config(self) -> dict[str, Any]:
        """The network and the size of z."""
        return {**super().get_config(), "latent_dim": self.latent_dim}


def _check_order(network: keras.Model) -> None:
    """Refuse log_var before mu, where the names of the outputs say so."""
    mu, log_var = (str(name).lower() for name in network.output_names)
    if "log" in mu and "log" not in log_var:
        raise UsageError(
            f"A GaussianPosterior expected mu and then log_var, but {network.name!r} has the "
            f"outputs {', '.join(network.output_names)}. Exchange them."
        )
