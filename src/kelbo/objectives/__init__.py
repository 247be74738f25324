"""Objectives: what is maximised or minimised, computed from a trace alone."""

from kelbo.beta import beta_from_mean_weights, explain_beta, format_beta
from kelbo.objectives.article import ArticleObjective
from kelbo.objectives.beta_tc import BetaTC
from kelbo.objectives.capacity import Capacity
from kelbo.objectives.contractive import Contractive
from kelbo.objectives.denoising import Denoising
from kelbo.objectives.dip_vae import DIPVAE
from kelbo.objectives.elbo import ELBO
from kelbo.objectives.free_bits import FreeBits
from kelbo.objectives.info_vae import WAE, InfoVAE
from kelbo.objectives.iwae import CIWAE, IWAE, MIWAE, PIWAE
from kelbo.objectives.objective import Objective
from kelbo.objectives.rae import RAE
from kelbo.objectives.reconstruction import Reconstruction
from kelbo.objectives.renyi import Renyi
from kelbo.objectives.schedules import (
    CosineWarmup,
    CyclicalWarmup,
    LinearWarmup,
    SigmoidWarmup,
)
from kelbo.objectives.sparse import Sparse
from kelbo.objectives.structural_similarity import StructuralSimilarity

__all__ = [
    "ArticleObjective",
    "BetaTC",
    "CIWAE",
    "Capacity",
    "Contractive",
    "CosineWarmup",
    "CyclicalWarmup",
    "DIPVAE",
    "Denoising",
    "ELBO",
    "FreeBits",
    "IWAE",
    "InfoVAE",
    "LinearWarmup",
    "MIWAE",
    "Objective",
    "PIWAE",
    "RAE",
    "Reconstruction",
    "Renyi",
    "SigmoidWarmup",
    "Sparse",
    "StructuralSimilarity",
    "WAE",
    "beta_from_mean_weights",
    "explain_beta",
    "format_beta",
]
