"""The likelihoods p(x|z) by name."""

from kelbo.presets.option import Option
from kelbo.presets.part import Part

_KINGMA = 'Kingma and Welling, "Auto-encoding variational Bayes", 2014'
_LOPEZ = 'Lopez et al., "Deep generative modeling for single-cell transcriptomics", 2018'
_RYBKIN = (
    'Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated decoders", '
    "2021"
)

_WAYS = ("shared", "per-dimension", "network")


def _positive(name: str, default: str, meaning: str) -> Option:
    return Option(
        name, str, default, f"{meaning}: learned, or given by the network.", choices=_WAYS
    )


_SCALE = _positive("scale", "shared", "Scale")
_DISPERSION = _positive("dispersion", "per-dimension", "Inverse dispersion theta")

LIKELIHOODS = {
    part.name: part
    for part in (
        Part("bernoulli", "BernoulliLikelihood", "x ~ Bernoulli(sigmoid(f(z)))", _KINGMA),
        Part(
            "continuous-bernoulli",
            "ContinuousBernoulliLikelihood",
            "x ~ ContinuousBernoulli(sigmoid(f(z)))",
            'Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019',
        ),
        Part(
            "gaussian",
            "GaussianLikelihood",
            "x ~ N(f(z), variance)",
            _KINGMA,
            (Option("variance", float, 1.0, "Of every value, fixed.", minimum=1e-12),),
        ),
        Part(
            "gaussian-shared",
            "GaussianLikelihood",
            "x ~ N(f(z), s^2), one learned s",
            _RYBKIN,
            fixed={"variance": "shared"},
        ),
        Part(
            "gaussian-per-pixel",
            "GaussianLikelihood",
            "x ~ N(f(z), s(z)^2), a learned s of each value",
            _KINGMA,
            fixed={"variance": "per-pixel"},
        ),
        Part(
            "gaussian-optimal",
            "GaussianLikelihood",
            "x ~ N(f(z), s^2), s^2 the mean squared error of the batch",
            _RYBKIN,
            fixed={"variance": "optimal"},
        ),
        Part(
            "laplace",
            "LaplaceLikelihood",
            "x ~ Laplace(f(z), b)",
            "Laplace 1774: absolute errors",
            (_SCALE,),
        ),
        Part(
            "student-t",
            "StudentTLikelihood",
            "x = f(z) + s t, t ~ Student(degrees)",
            'Lange, Little and Taylor, "Robust statistical modeling using the t distribution", '
            "1989",
            (_SCALE, _positive("degrees", "shared", "Degrees of freedom")),
        ),
        Part(
            "log-normal",
            "LogNormalLikelihood",
            "log x ~ N(f(z), s^2), x > 0",
            "the Gaussian of log x, as a density of x",
            (_SCALE,),
        ),
        Part(
            "beta",
            "BetaLikelihood",
            "x ~ Beta with mean sigmoid(f(z)), strictly between 0 and 1",
            'Ferrari and Cribari-Neto, "Beta regression for modelling rates and proportions", 2004',
            (_positive("concentration", "shared", "Concentration"),),
        ),
        Part(
            "categorical",
            "CategoricalLikelihood",
            "x ~ Categorical(softmax(f(z))), x a class 0 to K - 1",
            "multinomial logistic regression on z",
            (Option("classes", int, 2, "K.", minimum=2),),
        ),
        Part(
            "ordinal",
            "OrdinalLikelihood",
            "P(x <= k) = sigmoid(threshold_k - f(z)), x a level 0 to K - 1",
            'McCullagh, "Regression models for ordinal data", 1980',
            (
                Option("levels", int, 2, "K.", minimum=2),
                Option(
                    "thresholds",
                    str,
                    "per-dimension",
                    "Which dimensions share them.",
                    choices=("per-dimension", "shared"),
                ),
            ),
        ),
        Part(
            "poisson",
            "PoissonLikelihood",
            "x ~ Poisson(exp(f(z))), counts",
            "Poisson regression on z",
        ),
        Part(
            "negative-binomial",
            "NegativeBinomialLikelihood",
            "counts of mean mu = exp(f(z)) and variance mu + mu^2 / theta",
            _LOPEZ,
            (_DISPERSION,),
        ),
        Part(
            "zero-inflated-poisson",
            "ZeroInflatedPoissonLikelihood",
            "0 with probability sigmoid(g(z)), else Poisson(exp(f(z)))",
            'Lambert, "Zero-inflated Poisson regression", 1992',
        ),
        Part(
            "zero-inflated-negative-binomial",
            "ZeroInflatedNegativeBinomialLikelihood",
            "0 with probability sigmoid(g(z)), else a negative binomial",
            _LOPEZ,
            (_DISPERSION,),
        ),
        Part(
            "discretised-logistic",
            "DiscretisedLogisticLikelihood",
            "8-bit pixels: a logistic variable rounded to k / 255",
            'Kingma et al., "Improved variational inference with inverse autoregressive flow", '
            "2016",
            (_SCALE,),
        ),
        Part(
            "discretised-logistic-mixture",
            "MixtureOfDiscretisedLogisticsLikelihood",
            "8-bit pixels: one of M logistics, each colour given the ones before it",
            'Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017',
            (Option("components", int, 10, "M.", minimum=1),),
        ),
    )
}
