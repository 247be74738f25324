"""The choices that all presets share: networks and likelihoods by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from kelbo.errors import UsageError, unknown_name
from kelbo.likelihoods import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
    Likelihood,
)
from kelbo.networks import NETWORKS
from kelbo.objectives import Objective
from kelbo.posteriors import GaussianPosterior
from kelbo.precision import dtype_policy
from kelbo.vae import VAE


@dataclass(frozen=True)
class NamedLikelihood:
    """A likelihood with its options chosen: called with a decoder network, it makes p(x|z).

    Attributes:
        kind: its class.
        options: what its constructor takes besides the network.
    """

    kind: type[Likelihood]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, network: keras.Model, **kwargs: Any) -> Likelihood:
        """P(x|z) on a network with outputs of `output_shapes`."""
        return self.kind(network, **self.options, **kwargs)

    def output_shapes(self, data_shape: Sequence[int]) -> list[tuple[int, ...]]:
        """What the network must give for data of a shape."""
        return self.kind.output_shapes(data_shape, **self.options)


LIKELIHOODS: dict[str, NamedLikelihood] = {
    "bernoulli": NamedLikelihood(BernoulliLikelihood),
    "continuous-bernoulli": NamedLikelihood(ContinuousBernoulliLikelihood),
    "gaussian": NamedLikelihood(GaussianLikelihood),
    "gaussian-shared": NamedLikelihood(GaussianLikelihood, {"variance": "shared"}),
    "gaussian-per-pixel": NamedLikelihood(GaussianLikelihood, {"variance": "per-pixel"}),
}


def check_names(network: str, likelihood: str) -> None:
    """Refuse a name that is not in `NETWORKS` or `LIKELIHOODS`.

    Raises:
        UsageError: there is no such network or likelihood.
    """
    if network not in NETWORKS:
        raise unknown_name("network", network, NETWORKS)
    if likelihood not in LIKELIHOODS:
        raise unknown_name("likelihood", likelihood, LIKELIHOODS)


def encoder_and_likelihood(
    data_shape: Sequence[int], latent_dim: int, network: str, likelihood: str, precision: str | None
) -> tuple[keras.Model, Likelihood]:
    """The encoder network for the data, and p(x|z) on the decoder network that mirrors it.

    Raises:
        UsageError: an unknown name, or latent_dim < 1.
    """
    check_names(network, likelihood)
    if latent_dim < 1:
        raise UsageError(f"Expected latent_dim >= 1, received {latent_dim}.")
    dtype = None if precision is None else dtype_policy(precision)
    make_encoder, make_decoder = NETWORKS[network]
    p_of_x = LIKELIHOODS[likelihood]
    decoder = make_decoder(data_shape, latent_dim, p_of_x.output_shapes(data_shape), dtype=dtype)
    return make_encoder(data_shape, dtype=dtype), p_of_x(decoder, name="likelihood")


def gaussian_vae(
    data_shape: Sequence[int],
    latent_dim: int,
    network: str,
    likelihood: str,
    precision: str | None,
    objective: Objective,
    seed: int | None,
) -> VAE:
    """A VAE with a diagonal Gaussian q(z|x) and the prior N(0, I).

    Raises:
        UsageError: an unknown name or an impossible size.
    """
    encoder, p_of_x = encoder_and_likelihood(data_shape, latent_dim, network, likelihood, precision)
    q_of_z = GaussianPosterior(encoder, latent_dim, name="posterior")
    return VAE(q_of_z, p_of_x, objective=objective, seed=seed)
