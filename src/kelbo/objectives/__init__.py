"""Objectives: what is maximised or minimised, computed from a trace alone."""

from kelbo.beta import beta_from_mean_weights, explain_beta, format_beta
from kelbo.objectives.article import ArticleObjective
from kelbo.objectives.elbo import ELBO, LinearWarmup
from kelbo.objectives.iwae import IWAE
from kelbo.objectives.objective import Objective
from kelbo.objectives.reconstruction import Reconstruction

__all__ = [
    "ELBO",
    "IWAE",
    "ArticleObjective",
    "LinearWarmup",
    "Objective",
    "Reconstruction",
    "beta_from_mean_weights",
    "explain_beta",
    "format_beta",
]
