"""Likelihoods p(x|z)."""

from kelbo.likelihoods.bernoulli import BernoulliLikelihood
from kelbo.likelihoods.beta import BetaLikelihood
from kelbo.likelihoods.categorical import CategoricalLikelihood
from kelbo.likelihoods.continuous_bernoulli import ContinuousBernoulliLikelihood
from kelbo.likelihoods.discretised_logistic import DiscretisedLogisticLikelihood
from kelbo.likelihoods.gaussian import GaussianLikelihood
from kelbo.likelihoods.laplace import LaplaceLikelihood
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.likelihoods.log_normal import LogNormalLikelihood
from kelbo.likelihoods.mixture_of_discretised_logistics import (
    MixtureOfDiscretisedLogisticsLikelihood,
)
from kelbo.likelihoods.negative_binomial import NegativeBinomialLikelihood
from kelbo.likelihoods.ordinal import OrdinalLikelihood
from kelbo.likelihoods.poisson import PoissonLikelihood
from kelbo.likelihoods.product import Columns, ProductLikelihood
from kelbo.likelihoods.student_t import StudentTLikelihood
from kelbo.likelihoods.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomialLikelihood
from kelbo.likelihoods.zero_inflated_poisson import ZeroInflatedPoissonLikelihood

__all__ = [
    "BernoulliLikelihood",
    "BetaLikelihood",
    "CategoricalLikelihood",
    "Columns",
    "ContinuousBernoulliLikelihood",
    "DiscretisedLogisticLikelihood",
    "GaussianLikelihood",
    "LaplaceLikelihood",
    "Likelihood",
    "LogNormalLikelihood",
    "MixtureOfDiscretisedLogisticsLikelihood",
    "NegativeBinomialLikelihood",
    "OrdinalLikelihood",
    "PoissonLikelihood",
    "ProductLikelihood",
    "StudentTLikelihood",
    "ZeroInflatedNegativeBinomialLikelihood",
    "ZeroInflatedPoissonLikelihood",
]
