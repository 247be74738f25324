"""The named models, each a choice of parts. The VAE comes first."""

from kelbo.presets.preset import Preset

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
            "article",
            'Anracom, "Variational Autoencoder with Tensorflow", linux-blog.anracom.com, 2022',
            "objective",
            {"objective": "article"},
        ),
        Preset(
            "ae",
            'the baseline of Anracom, "Variational Autoencoder with Tensorflow", 2022',
            "posterior",
            {"posterior": "deterministic", "prior": "none", "objective": "reconstruction"},
        ),
    )
}
