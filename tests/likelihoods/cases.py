"""One small model for each likelihood and choice, with data of its support."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import kelbo
from kelbo.likelihoods import Likelihood
from kelbo.networks import mlp_decoder, mlp_encoder
from tests.support import LATENT, SHAPE


def uniform(generator, shape):
    return generator.random(shape)


def real(generator, shape):
    return generator.normal(size=shape)


def open_unit(generator, shape):
    return 0.05 + 0.9 * generator.random(shape)


def positive(generator, shape):
    return np.exp(generator.normal(size=shape))


def counts(generator, shape):
    return generator.poisson(2.0, size=shape) * (generator.random(shape) > 0.3)


def classes(generator, shape):
    return generator.integers(4, size=shape)


def pixels(generator, shape):
    return generator.integers(256, size=shape) / 255


def table(generator, shape):
    each = [real(generator, (shape[0], 2)), positive(generator, (shape[0], 1))]
    each += [classes(generator, (shape[0], 1)), counts(generator, (shape[0], 1))]
    return np.concatenate([*each, classes(generator, (shape[0], 1))], axis=1)


TABLE = (
    kelbo.Columns("size", kelbo.GaussianLikelihood, 2, {"variance": "optimal"}),
    kelbo.Columns("income (EUR)", kelbo.LogNormalLikelihood),
    kelbo.Columns("colour", kelbo.CategoricalLikelihood, options={"classes": 4}),
    kelbo.Columns("visits", kelbo.ZeroInflatedNegativeBinomialLikelihood),
    kelbo.Columns("grade", kelbo.OrdinalLikelihood, options={"levels": 4}),
)


@dataclass(frozen=True)
class Case:
    """A likelihood, its options, and data for it."""

    kind: type[Likelihood]
    draw: Callable
    options: dict = field(default_factory=dict)
    shape: tuple = SHAPE
    shown: str = "mean"  # what of the distribution the decoder shows
    learned: tuple = ()  # the shapes of its own weights that train

    def likelihood(self, latent_dim=LATENT):
        shapes = self.kind.output_shapes(self.shape, **self.options)
        network = mlp_decoder(self.shape, latent_dim, shapes, (5,))
        return self.kind(network, name="likelihood", **self.options)

    def vae(self, **kwargs):
        q = kelbo.GaussianPosterior(mlp_encoder(self.shape, (5,)), LATENT, name="posterior")
        return kelbo.VAE(q, self.likelihood(), seed=0, **kwargs)

    def data(self, n, seed=1):
        return self.draw(np.random.default_rng(seed), (n, *self.shape)).astype("float32")


Gaussian, Laplace, T = kelbo.GaussianLikelihood, kelbo.LaplaceLikelihood, kelbo.StudentTLikelihood
NB, ZINB = kelbo.NegativeBinomialLikelihood, kelbo.ZeroInflatedNegativeBinomialLikelihood
Logistic = kelbo.DiscretisedLogisticLikelihood
Mixture = kelbo.MixtureOfDiscretisedLogisticsLikelihood
CASES = {
    "gaussian-optimal": Case(Gaussian, uniform, {"variance": "optimal"}),
    "laplace": Case(Laplace, real, {"scale": 0.5}),
    "laplace-per-dimension": Case(Laplace, real, {"scale": "per-dimension"}, learned=(SHAPE,)),
    "student-t": Case(T, real, learned=((), ())),
    "student-t-network": Case(T, real, {"scale": "network", "degrees": 3.0}),
    "log-normal": Case(kelbo.LogNormalLikelihood, positive, learned=((),)),
    "log-normal-network": Case(kelbo.LogNormalLikelihood, positive, {"scale": "network"}),
    "beta": Case(kelbo.BetaLikelihood, open_unit, learned=((),)),
    "poisson": Case(kelbo.PoissonLikelihood, counts),
    "negative-binomial": Case(NB, counts, learned=(SHAPE,)),
    "zero-inflated-poisson": Case(kelbo.ZeroInflatedPoissonLikelihood, counts),
    "zero-inflated-negative-binomial": Case(ZINB, counts, {"dispersion": "network"}),
    "categorical": Case(kelbo.CategoricalLikelihood, classes, {"classes": 4}, shown="mode"),
    "ordinal": Case(
        kelbo.OrdinalLikelihood, classes, {"levels": 4}, shown="mode", learned=((*SHAPE, 3),)
    ),
    "ordinal-shared": Case(
        kelbo.OrdinalLikelihood,
        classes,
        {"levels": 4, "thresholds": "shared"},
        shown="mode",
        learned=((3,),),
    ),
    "discretised-logistic": Case(Logistic, pixels, learned=((),)),
    "mixture-grey": Case(Mixture, pixels, {"components": 2}),
    "mixture-colours": Case(Mixture, pixels, {"components": 2}, (2, 2, 3), shown="typical"),
    "product": Case(
        kelbo.ProductLikelihood,
        table,
        {"columns": TABLE},
        (6,),
        shown="of the columns",
        learned=((), (1,), (1, 3)),
    ),
}
