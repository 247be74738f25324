"""The approximate posteriors q(z|x) by name."""

from kelbo.presets.part import Part

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
            "deterministic",
            "DeterministicPosterior",
            "z = g(x)",
            'Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", '
            "2006",
        ),
    )
}
