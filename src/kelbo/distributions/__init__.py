"""Probability distributions: plain values with log_prob, sample and mean; and their KL table."""

from kelbo.distributions.bernoulli import Bernoulli
from kelbo.distributions.bijector import Bijector, Chain, Inverse, Reverse
from kelbo.distributions.continuous_bernoulli import ContinuousBernoulli
from kelbo.distributions.distribution import Distribution, Factorised
from kelbo.distributions.kl import (
    closed_form,
    has_closed_form,
    has_kl_per_dimension,
    kl_divergence,
    kl_per_dimension,
)
from kelbo.distributions.mixture import Mixture
from kelbo.distributions.multivariate_normal import MultivariateNormal
from kelbo.distributions.normal import Normal
from kelbo.distributions.point_mass import PointMass
from kelbo.distributions.sphere import UniformSphere
from kelbo.distributions.transformed import Transformed
from kelbo.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "Bernoulli",
    "Bijector",
    "Chain",
    "ContinuousBernoulli",
    "Distribution",
    "Factorised",
    "Inverse",
    "Mixture",
    "MultivariateNormal",
    "Normal",
    "PointMass",
    "Reverse",
    "Transformed",
    "UniformSphere",
    "VonMisesFisher",
    "closed_form",
    "has_closed_form",
    "has_kl_per_dimension",
    "kl_divergence",
    "kl_per_dimension",
]
