"""Approximate posteriors q(z|x)."""

from kelbo.posteriors.deterministic import DeterministicPosterior
from kelbo.posteriors.flow import FlowPosterior
from kelbo.posteriors.full_covariance import FullCovariancePosterior
from kelbo.posteriors.gaussian import GaussianPosterior
from kelbo.posteriors.on_gaussian import (
    householder_posterior,
    inverse_autoregressive_posterior,
    planar_posterior,
    radial_posterior,
)
from kelbo.posteriors.posterior import Posterior
from kelbo.posteriors.von_mises_fisher import VonMisesFisherPosterior

__all__ = [
    "DeterministicPosterior",
    "FlowPosterior",
    "FullCovariancePosterior",
    "GaussianPosterior",
    "Posterior",
    "VonMisesFisherPosterior",
    "householder_posterior",
    "inverse_autoregressive_posterior",
    "planar_posterior",
    "radial_posterior",
]
