"""Flows on top of a diagonal Gaussian posterior, in one call."""

from typing import Any

import keras

from kelbo.flows import (
    Flow,
    HouseholderFlow,
    InverseAutoregressiveFlow,
    PlanarFlow,
    RadialFlow,
)
from kelbo.posteriors.flow import FlowPosterior
from kelbo.posteriors.gaussian import GaussianPosterior


def planar_posterior(
    network: keras.Model, latent_dim: int | None = None, num_layers: int = 8, **kwargs: Any
) -> FlowPosterior:
    """A PlanarFlow on a GaussianPosterior on the network."""
    return _on_gaussian(network, latent_dim, PlanarFlow(num_layers), kwargs)


def radial_posterior(
    network: keras.Model, latent_dim: int | None = None, num_layers: int = 8, **kwargs: Any
) -> FlowPosterior:
    """A RadialFlow on a GaussianPosterior on the network."""
    return _on_gaussian(network, latent_dim, RadialFlow(num_layers), kwargs)


def householder_posterior(
    network: keras.Model, latent_dim: int | None = None, num_layers: int = 4, **kwargs: Any
) -> FlowPosterior:
    """A HouseholderFlow on a GaussianPosterior on the network."""
    return _on_gaussian(network, latent_dim, HouseholderFlow(num_layers), kwargs)


def inverse_autoregressive_posterior(
    network: keras.Model,
    latent_dim: int | None = None,
    num_layers: int = 4,
    hidden_units: int = 64,
    context_units: int = 32,
    **kwargs: Any,
) -> FlowPosterior:
    """An InverseAutoregressiveFlow on a GaussianPosterior on the network."""
    flow = InverseAutoregressiveFlow(num_layers, hidden_units, context_units)
    return _on_gaussian(network, latent_dim, flow, kwargs)


def _on_gaussian(
    network: keras.Model, latent_dim: int | None, flow: Flow, kwargs: dict[str, Any]
) -> FlowPosterior:
    return FlowPosterior(GaussianPosterior(network, latent_dim), flow, **kwargs)
