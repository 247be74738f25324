"""The approximate posteriors q(z|x) by name."""

from kelbo.presets.option import Option
from kelbo.presets.part import Part

_HINTON = (
    'Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006'
)
_REZENDE = 'Rezende and Mohamed, "Variational inference with normalizing flows", 2015'


def _layers(default: int, what: str) -> Option:
    return Option("num_layers", int, default, f"{what}, one after another.", minimum=1)


HIDDEN_UNITS = Option(
    "hidden_units",
    int,
    64,
    "Width of the hidden layer that makes a flow's shift and scale.",
    minimum=1,
)

POSTERIORS = {
    part.name: part
    for part in (
        Part(
            "gaussian",
            "GaussianPosterior",
            "z ~ N(mu(x), diag(exp(log_var(x))))",
            'Kingma and Welling, "Auto-encoding variational Bayes", 2014',
        ),
        Part(
            "full-covariance",
            "FullCovariancePosterior",
            "z ~ N(mu(x), L(x) L(x)')",
            'Kingma and Welling, "An introduction to variational autoencoders", 2019',
        ),
        Part(
            "planar",
            "planar_posterior",
            "z = f(e), e Gaussian, each map e + u tanh(w'e + b)",
            _REZENDE,
            (_layers(8, "Planar maps"),),
        ),
        Part(
            "radial",
            "radial_posterior",
            "z = f(e), e Gaussian, each map e + b (e - c) / (a + |e - c|)",
            _REZENDE,
            (_layers(8, "Radial maps"),),
        ),
        Part(
            "householder",
            "householder_posterior",
            "z = f(e), e Gaussian, each map e - 2 v v'e / |v|^2",
            'Tomczak and Welling, "Improving variational auto-encoders using Householder flow", '
            "2016",
            (_layers(4, "Reflections"),),
        ),
        Part(
            "inverse-autoregressive",
            "inverse_autoregressive_posterior",
            "z = f(e), e Gaussian, each map shifts and scales e_j by functions of e_1 ... e_(j-1)",
            'Kingma et al., "Improved variational inference with inverse autoregressive flow", '
            "2016",
            (
                _layers(4, "Autoregressive maps"),
                HIDDEN_UNITS,
                Option(
                    "context_units",
                    int,
                    32,
                    "Numbers that the encoder gives to each map.",
                    minimum=1,
                ),
            ),
        ),
        Part(
            "von-mises-fisher",
            "VonMisesFisherPosterior",
            "z on the sphere |z| = 1, density ~ exp(kappa(x) mu(x)'z)",
            'Davidson et al., "Hyperspherical variational auto-encoders", 2018',
        ),
        Part("deterministic", "DeterministicPosterior", "z = g(x)", _HINTON),
        Part(
            "sigmoid-code",
            "DeterministicPosterior",
            "z = sigmoid(g(x))",
            _HINTON,
            fixed={"activation": "sigmoid"},
        ),
        Part(
            "top-k-code",
            "DeterministicPosterior",
            "z = g(x), all but the k largest values 0",
            'Makhzani and Frey, "k-sparse autoencoders", 2014',
            (Option("keep", int, 4, "Values that stay: k.", minimum=1),),
        ),
    )
}
