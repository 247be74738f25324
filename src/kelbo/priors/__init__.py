"""Priors p(z)."""

from kelbo.priors.flow import FlowPrior, masked_autoregressive_prior, real_nvp_prior
from kelbo.priors.mixture import MixturePrior
from kelbo.priors.prior import Prior
from kelbo.priors.standard_normal import StandardNormalPrior
from kelbo.priors.uniform_sphere import UniformSpherePrior
from kelbo.priors.vamp import VampPrior

__all__ = [
    "FlowPrior",
    "MixturePrior",
    "Prior",
    "StandardNormalPrior",
    "UniformSpherePrior",
    "VampPrior",
    "masked_autoregressive_prior",
    "real_nvp_prior",
]
