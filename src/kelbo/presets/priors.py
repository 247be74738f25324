"""The priors p(z) by name."""

from kelbo.presets.part import Part

PRIORS = {
    part.name: part
    for part in (
        Part(
            "standard-normal",
            "StandardNormalPrior",
            "z ~ N(0, I)",
            'Kingma and Welling, "Auto-encoding variational Bayes", 2014',
        ),
        Part("none", "", "no p(z): an autoencoder", ""),
    )
}
