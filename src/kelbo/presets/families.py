"""The parts that a model is made of, by family and name. The VAE's own come first."""

from collections.abc import Mapping

from kelbo.presets.likelihoods import LIKELIHOODS
from kelbo.presets.networks import NETWORKS
from kelbo.presets.objectives import OBJECTIVES
from kelbo.presets.part import Part
from kelbo.presets.posteriors import POSTERIORS
from kelbo.presets.priors import PRIORS

FAMILIES: Mapping[str, Mapping[str, Part]] = {
    "network": NETWORKS,
    "likelihood": LIKELIHOODS,
    "posterior": POSTERIORS,
    "prior": PRIORS,
    "objective": OBJECTIVES,
}

PLURALS = {
    "network": "networks",
    "likelihood": "likelihoods",
    "posterior": "posteriors",
    "prior": "priors",
    "objective": "objectives",
}
# What each family stands for in the equation.
TERMS = {
    "network": "networks",
    "likelihood": "p(x|z)",
    "posterior": "q(z|x)",
    "prior": "p(z)",
    "objective": "loss",
}
