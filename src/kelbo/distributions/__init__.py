"""Probability distributions: plain values with log_prob, sample and mean; and their KL table."""

from kelbo.distributions.bernoulli import Bernoulli
from kelbo.distributions.continuous_bernoulli import ContinuousBernoulli
from kelbo.distributions.distribution import Distribution
from kelbo.distributions.kl import has_closed_form, kl_divergence, kl_per_dimension
from kelbo.distributions.normal import Normal

__all__ = [
    "Bernoulli",
    "ContinuousBernoulli",
    "Distribution",
    "Normal",
    "has_closed_form",
    "kl_divergence",
    "kl_per_dimension",
]
