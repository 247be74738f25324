"""Priors p(z)."""

from kelbo.priors.prior import Prior
from kelbo.priors.standard_normal import StandardNormalPrior

__all__ = ["Prior", "StandardNormalPrior"]
