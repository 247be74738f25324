"""Objectives: what is maximised or minimised, computed from a trace alone."""

from kelbo.beta import beta_from_mean_weights, explain_beta, format_beta
from kelbo.objectives.article import ArticleObjective
from kelbo.objectives.capacity import Capacity
from kelbo.objectives.elbo import ELBO
from kelbo.objectives.free_bits import FreeBits
from kelbo.objectives.iwae import CIWAE, IWAE, MIWAE, PIWAE
from kelbo.objectives.objective import Objective
from kelbo.objectives.reconstruction import Reconstruction
from kelbo.objectives.renyi import Renyi
from kelbo.objectives.schedules import (
    CosineWarmup,
    CyclicalWarmup,
    LinearWarmup,
    SigmoidWarmup,
)

__all__ = [
    "ArticleObjective",
    "CIWAE",
    "Capacity",
    "CosineWarmup",
    "CyclicalWarmup",
    "ELBO",
    "FreeBits",
    "IWAE",
    "LinearWarmup",
    "MIWAE",
    "Objective",
    "PIWAE",
    "Reconstruction",
    "Renyi",
    "SigmoidWarmup",
    "beta_from_mean_weights",
    "explain_beta",
    "format_beta",
]
