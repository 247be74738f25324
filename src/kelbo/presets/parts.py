"""The choices that all presets share: networks and likelihoods by name."""

from collections.abc import Callable, Sequence
from functools import partial

import keras

from kelbo.errors import UsageError, unknown_name
from kelbo.likelihoods import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
    Likelihood,
)
from kelbo.networks import NETWORKS
from kelbo.precision import dtype_policy

# Name -> (likelihood of a network, how many outputs the network must have).
LIKELIHOODS: dict[str, tuple[Callable[..., Likelihood], int]] = {
    "bernoulli": (BernoulliLikelihood, 1),
    "continuous-bernoulli": (ContinuousBernoulliLikelihood, 1),
    "gaussian": (GaussianLikelihood, 1),
    "gaussian-shared": (partial(GaussianLikelihood, variance="shared"), 1),
    "gaussian-per-pixel": (partial(GaussianLikelihood, variance="per-pixel"), 2),
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
    make_likelihood, outputs = LIKELIHOODS[likelihood]
    decoder = make_decoder(data_shape, latent_dim, outputs=outputs, dtype=dtype)
    return make_encoder(data_shape, dtype=dtype), make_likelihood(decoder, name="likelihood")
