"""The likelihoods p(x|z) by name."""

from kelbo.presets.option import Option
from kelbo.presets.part import Part

_KINGMA = 'Kingma and Welling, "Auto-encoding variational Bayes", 2014'
_RYBKIN = (
    'Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated decoders", '
    "2021"
)

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
    )
}
