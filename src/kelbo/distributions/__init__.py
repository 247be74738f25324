"""Probability distributions: plain values with log_prob, sample and mean; and their KL table."""

from kelbo.distributions.bernoulli import Bernoulli
from kelbo.distributions.beta import Beta
from kelbo.distributions.bijector import Bijector, Chain, Inverse, Reverse
from kelbo.distributions.categorical import Categorical
from kelbo.distributions.continuous_bernoulli import ContinuousBernoulli
from kelbo.distributions.discretised_logistic import DiscretisedLogistic
from kelbo.distributions.distribution import Distribution, Factorised
from kelbo.distributions.kl import (
    closed_form,
    has_closed_form,
    has_kl_per_dimension,
    kl_divergence,
    kl_per_dimension,
)
from kelbo.distributions.laplace import Laplace
from kelbo.distributions.log_normal import LogNormal
from kelbo.distributions.mixture import Mixture
from kelbo.distributions.mixture_of_discretised_logistics import MixtureOfDiscretisedLogistics
from kelbo.distributions.multivariate_normal import MultivariateNormal
from kelbo.distributions.negative_binomial import NegativeBinomial
from kelbo.distributions.normal import Normal
from kelbo.distributions.ordinal import Ordinal
from kelbo.distributions.point_mass import PointMass
from kelbo.distributions.poisson import Poisson
from kelbo.distributions.product import Product
from kelbo.distributions.sphere import UniformSphere
from kelbo.distributions.student_t import StudentT
from kelbo.distributions.transformed import Transformed
from kelbo.distributions.von_mises_fisher import VonMisesFisher
from kelbo.distributions.zero_inflated import (
    ZeroInflated,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)

__all__ = [
    "Bernoulli",
    "Beta",
    "Bijector",
    "Categorical",
    "Chain",
    "ContinuousBernoulli",
    "DiscretisedLogistic",
    "Distribution",
    "Factorised",
    "Inverse",
    "Laplace",
    "LogNormal",
    "Mixture",
    "MixtureOfDiscretisedLogistics",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "Ordinal",
    "PointMass",
    "Poisson",
    "Product",
    "Reverse",
    "StudentT",
    "Transformed",
    "UniformSphere",
    "VonMisesFisher",
    "ZeroInflated",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedPoisson",
    "closed_form",
    "has_closed_form",
    "has_kl_per_dimension",
    "kl_divergence",
    "kl_per_dimension",
]
