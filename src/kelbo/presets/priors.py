"""The priors p(z) by name."""

from kelbo.presets.option import Option
from kelbo.presets.part import Part
from kelbo.presets.posteriors import HIDDEN_UNITS

_TOMCZAK = 'Tomczak and Welling, "VAE with a VampPrior", 2018'


def _components(default: int) -> Option:
    return Option("num_components", int, default, "Components of the mixture: K.", minimum=1)


def _layers(default: int, what: str, minimum: int = 1) -> Option:
    return Option("num_layers", int, default, f"{what}, one after another.", minimum=minimum)


PRIORS = {
    part.name: part
    for part in (
        Part(
            "standard-normal",
            "StandardNormalPrior",
            "z ~ N(0, I)",
            'Kingma and Welling, "Auto-encoding variational Bayes", 2014',
        ),
        Part(
            "mixture",
            "MixturePrior",
            "z ~ sum_k w_k N(mu_k, diag(exp(log_var_k))), all learned",
            _TOMCZAK,
            (_components(10),),
        ),
        Part(
            "vamp",
            "VampPrior",
            "z ~ 1/K sum_k q(z|u_k), u_k learned pseudo-inputs",
            _TOMCZAK,
            (_components(500),),
        ),
        Part(
            "real-nvp",
            "real_nvp_prior",
            "z = f(e), e ~ N(0, I), f a chain of affine couplings",
            'Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", 2017',
            (_layers(6, "Couplings", minimum=2), HIDDEN_UNITS),
        ),
        Part(
            "masked-autoregressive",
            "masked_autoregressive_prior",
            "z = f(e), e ~ N(0, I), f a masked autoregressive flow",
            'Papamakarios, Pavlakou and Murray, "Masked autoregressive flow for density '
            'estimation", 2017',
            (_layers(4, "Autoregressive maps"), HIDDEN_UNITS),
        ),
        Part(
            "uniform-sphere",
            "UniformSpherePrior",
            "z uniform on the sphere |z| = 1",
            'Davidson et al., "Hyperspherical variational auto-encoders", 2018',
        ),
        Part("none", "", "no p(z): an autoencoder", ""),
    )
}
