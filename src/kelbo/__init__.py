"""kelbo: variational autoencoders on Keras 3, where the ELBO's equation is the architecture.

    log p(x) >= E_q [ log p(x|z) + log p(z) - log q(z|x) ]

Importing this package imports no backend; the first use of a name below does. When KERAS_BACKEND
is unset and Keras is not imported yet, kelbo then picks an installed one (`kelbo.backends.choice`).
"""

import importlib
import sys
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that defines it.
_PUBLIC = {
    "AE": "kelbo.ae",
    "VAE": "kelbo.vae",
    "ArticleObjective": "kelbo.objectives",
    "BetaTC": "kelbo.objectives",
    "CIWAE": "kelbo.objectives",
    "Capacity": "kelbo.objectives",
    "Contractive": "kelbo.objectives",
    "CosineWarmup": "kelbo.objectives",
    "CyclicalWarmup": "kelbo.objectives",
    "DIPVAE": "kelbo.objectives",
    "Denoising": "kelbo.objectives",
    "ELBO": "kelbo.objectives",
    "FreeBits": "kelbo.objectives",
    "IWAE": "kelbo.objectives",
    "InfoVAE": "kelbo.objectives",
    "LinearWarmup": "kelbo.objectives",
    "MIWAE": "kelbo.objectives",
    "PIWAE": "kelbo.objectives",
    "RAE": "kelbo.objectives",
    "Reconstruction": "kelbo.objectives",
    "Renyi": "kelbo.objectives",
    "SigmoidWarmup": "kelbo.objectives",
    "Sparse": "kelbo.objectives",
    "StructuralSimilarity": "kelbo.objectives",
    "WAE": "kelbo.objectives",
    "DeterministicPosterior": "kelbo.posteriors",
    "FlowPosterior": "kelbo.posteriors",
    "FullCovariancePosterior": "kelbo.posteriors",
    "GaussianPosterior": "kelbo.posteriors",
    "householder_posterior": "kelbo.posteriors",
    "inverse_autoregressive_posterior": "kelbo.posteriors",
    "planar_posterior": "kelbo.posteriors",
    "radial_posterior": "kelbo.posteriors",
    "VonMisesFisherPosterior": "kelbo.posteriors",
    "BernoulliLikelihood": "kelbo.likelihoods",
    "BetaLikelihood": "kelbo.likelihoods",
    "CategoricalLikelihood": "kelbo.likelihoods",
    "Columns": "kelbo.likelihoods",
    "ContinuousBernoulliLikelihood": "kelbo.likelihoods",
    "DiscretisedLogisticLikelihood": "kelbo.likelihoods",
    "GaussianLikelihood": "kelbo.likelihoods",
    "LaplaceLikelihood": "kelbo.likelihoods",
    "LogNormalLikelihood": "kelbo.likelihoods",
    "MixtureOfDiscretisedLogisticsLikelihood": "kelbo.likelihoods",
    "NegativeBinomialLikelihood": "kelbo.likelihoods",
    "OrdinalLikelihood": "kelbo.likelihoods",
    "PoissonLikelihood": "kelbo.likelihoods",
    "ProductLikelihood": "kelbo.likelihoods",
    "StudentTLikelihood": "kelbo.likelihoods",
    "ZeroInflatedNegativeBinomialLikelihood": "kelbo.likelihoods",
    "ZeroInflatedPoissonLikelihood": "kelbo.likelihoods",
    "FlowPrior": "kelbo.priors",
    "MixturePrior": "kelbo.priors",
    "masked_autoregressive_prior": "kelbo.priors",
    "real_nvp_prior": "kelbo.priors",
    "StandardNormalPrior": "kelbo.priors",
    "UniformSpherePrior": "kelbo.priors",
    "VampPrior": "kelbo.priors",
    "LatentVariableModel": "kelbo.model",
    "Likelihood": "kelbo.likelihoods",
    "Objective": "kelbo.objectives",
    "Posterior": "kelbo.posteriors",
    "Prior": "kelbo.priors",
    "Support": "kelbo.support",
    "Trace": "kelbo.trace",
    "annealed_log_likelihood": "kelbo.ais",
    "bidirectional_monte_carlo": "kelbo.ais",
    "load_model": "kelbo.loading",
    "read_model": "kelbo.clinic.foreign",
    "diagnose": "kelbo.clinic.diagnosis",
}
# Public submodule -> whether it needs a backend.
_SUBMODULES = {
    "callbacks": True,
    "data": False,
    "distributions": True,
    "flows": True,
    "networks": True,
    "presets": True,
}

__all__ = ["__version__", *_PUBLIC, *_SUBMODULES]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'kelbo' has no attribute {name!r}")
    if _SUBMODULES.get(name, True):
        from kelbo.backends.choice import choose

        choose()
    if name in _SUBMODULES:
        return importlib.import_module(f"kelbo.{name}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


if "keras" in sys.modules:
    # keras.saving.load_model finds only classes that are registered, that is, imported.
    importlib.import_module("kelbo.loading")
