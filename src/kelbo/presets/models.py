"""The named models, each a choice of parts. The VAE comes first."""

from kelbo.presets.likelihoods import LIKELIHOODS
from kelbo.presets.objectives import OBJECTIVES
from kelbo.presets.posteriors import POSTERIORS
from kelbo.presets.preset import Preset
from kelbo.presets.priors import PRIORS

_AUTOENCODER = {"posterior": "deterministic", "prior": "none"}

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("vae", 'Kingma and Welling, "Auto-encoding variational Bayes", 2014'),
        Preset(
            "beta-vae",
            'Higgins et al., "beta-VAE: learning basic visual concepts with a constrained '
            'variational framework", 2017',
            "objective",
            defaults={"beta": 4.0},
        ),
        Preset(
            "iwae",
            'Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", 2016',
            "objective",
            {"objective": "iwae"},
        ),
        Preset(
            "sigma-vae",
            LIKELIHOODS["gaussian-optimal"].paper,
            "likelihood",
            {"likelihood": "gaussian-optimal"},
        ),
        *(
            Preset(name, OBJECTIVES[objective].paper, "objective", {"objective": objective})
            for name, objective in (
                ("miwae", "miwae"),
                ("piwae", "piwae"),
                ("ciwae", "ciwae"),
                ("renyi-vae", "renyi"),
                ("free-bits-vae", "free-bits"),
                ("capacity-vae", "capacity"),
                ("beta-tc-vae", "beta-tc"),
                ("dip-vae", "dip-vae"),
                ("info-vae", "info-vae"),
                ("ssim-vae", "ssim"),
            )
        ),
        Preset(
            "full-covariance-vae",
            'Kingma and Welling, "An introduction to variational autoencoders", 2019',
            "posterior",
            {"posterior": "full-covariance"},
        ),
        *(
            Preset(f"{flow}-flow-vae", POSTERIORS[flow].paper, "posterior", {"posterior": flow})
            for flow in ("planar", "radial", "householder", "inverse-autoregressive")
        ),
        Preset(
            "hyperspherical-vae",
            'Davidson et al., "Hyperspherical variational auto-encoders", 2018',
            "posterior",
            {"posterior": "von-mises-fisher", "prior": "uniform-sphere"},
        ),
        Preset("mixture-vae", PRIORS["mixture"].paper, "prior", {"prior": "mixture"}),
        Preset("vamp-vae", PRIORS["vamp"].paper, "prior", {"prior": "vamp"}),
        Preset("real-nvp-vae", PRIORS["real-nvp"].paper, "prior", {"prior": "real-nvp"}),
        Preset(
            "masked-autoregressive-vae",
            PRIORS["masked-autoregressive"].paper,
            "prior",
            {"prior": "masked-autoregressive"},
        ),
        Preset(
            "article",
            'Anracom, "Variational Autoencoder with Tensorflow", linux-blog.anracom.com, 2022',
            "objective",
            {"objective": "article"},
        ),
        Preset(
            "ae",
            'the baseline of Anracom, "Variational Autoencoder with Tensorflow", 2022',
            "posterior",
            {**_AUTOENCODER, "objective": "reconstruction"},
        ),
        Preset(
            "wae",
            OBJECTIVES["wae"].paper,
            "objective",
            {"posterior": "deterministic", "objective": "wae"},
        ),
        *(
            Preset(
                name,
                OBJECTIVES[objective].paper,
                "objective",
                {**_AUTOENCODER, "objective": objective},
                defaults,
            )
            for name, objective, defaults in (
                ("rae-l2", "rae", {}),
                ("rae-gp", "rae", {"regularisation": "gradient-penalty", "weight": 1e-6}),
                ("contractive-ae", "contractive", {}),
                ("denoising-ae", "denoising", {}),
            )
        ),
        Preset(
            "sparse-ae",
            OBJECTIVES["sparse"].paper,
            "objective",
            {"posterior": "sigmoid-code", "prior": "none", "objective": "sparse"},
        ),
        Preset(
            "top-k-ae",
            POSTERIORS["top-k-code"].paper,
            "posterior",
            {"posterior": "top-k-code", "prior": "none", "objective": "reconstruction"},
        ),
    )
}
