"""Approximate posteriors q(z|x)."""

from kelbo.posteriors.deterministic import DeterministicPosterior
from kelbo.posteriors.gaussian import GaussianPosterior
from kelbo.posteriors.posterior import Posterior

__all__ = ["DeterministicPosterior", "GaussianPosterior", "Posterior"]
