"""Probability distributions: plain values with log_prob, sample and mean; and their KL table."""

from kelbo.distributions.bernoulli import Bernoulli
from kelbo.distributions.continuous_bernoulli import ContinuousBernoulli
from kelbo.distributions.distribution import Distribution, Factorised
from kelbo.distributions.kl import (
    closed_form,
    has_closed_form,
    kl_divergence,
    kl_per_dimension,
)
from kelbo.distributions.normal import Normal
from kelbo.distributions.point_mass import PointMass

__all__ = [
    "Bernoulli",
    "ContinuousBernoulli",
    "Distribution",
    "Factorised",
    "Normal",
    "PointMass",
    "closed_form",
    "has_closed_form",
    "kl_divergence",
    "kl_per_dimension",
]
