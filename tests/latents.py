"""Every posterior and prior of kelbo, small, by name."""

import kelbo
from kelbo import flows
from kelbo.networks import mlp_decoder, mlp_encoder
from tests.support import SHAPE

D = 3


def encoder():
    return mlp_encoder(SHAPE, (5,))


def with_flow(flow):
    return lambda: kelbo.FlowPosterior(kelbo.GaussianPosterior(encoder(), D), flow())


POSTERIORS = {
    "gaussian": lambda: kelbo.GaussianPosterior(encoder(), D),
    "full-covariance": lambda: kelbo.FullCovariancePosterior(encoder(), D),
    "von-mises-fisher": lambda: kelbo.VonMisesFisherPosterior(encoder(), D),
    "planar": with_flow(lambda: flows.PlanarFlow(2)),
    "radial": with_flow(lambda: flows.RadialFlow(2)),
    "householder": with_flow(lambda: flows.HouseholderFlow(2)),
    "inverse-autoregressive": with_flow(lambda: flows.InverseAutoregressiveFlow(2, 8, 4)),
    "flow-of-full-covariance": lambda: kelbo.FlowPosterior(
        kelbo.FullCovariancePosterior(encoder(), D), flows.RadialFlow(1)
    ),
}
PRIORS = {
    "standard-normal": kelbo.StandardNormalPrior,
    "mixture": lambda: kelbo.MixturePrior(4),
    "vamp": lambda: kelbo.VampPrior(5),
    "real-nvp": lambda: kelbo.FlowPrior(flows.RealNVPFlow(2, 8)),
    "masked-autoregressive": lambda: kelbo.FlowPrior(flows.MaskedAutoregressiveFlow(2, 8)),
    "uniform-sphere": kelbo.UniformSpherePrior,
}
# Each posterior with its usual prior, each prior with a Gaussian, and what is made of both.
PAIRS = [
    *((p, "uniform-sphere" if p == "von-mises-fisher" else "standard-normal") for p in POSTERIORS),
    *(("gaussian", p) for p in PRIORS if p not in ("standard-normal", "uniform-sphere")),
    ("inverse-autoregressive", "vamp"),
    ("von-mises-fisher", "vamp"),
    ("full-covariance", "vamp"),
]


def model(posterior, prior, seed=0):
    """A VAE of these on data of `tests.support.SHAPE`."""
    likelihood = kelbo.BernoulliLikelihood(mlp_decoder(SHAPE, D, None, (5,)))
    return kelbo.VAE(POSTERIORS[posterior](), likelihood, prior=PRIORS[prior](), seed=seed)
