"""Likelihoods p(x|z)."""

from kelbo.likelihoods.bernoulli import BernoulliLikelihood
from kelbo.likelihoods.continuous_bernoulli import ContinuousBernoulliLikelihood
from kelbo.likelihoods.gaussian import GaussianLikelihood
from kelbo.likelihoods.likelihood import Likelihood

__all__ = [
    "BernoulliLikelihood",
    "ContinuousBernoulliLikelihood",
    "GaussianLikelihood",
    "Likelihood",
]
