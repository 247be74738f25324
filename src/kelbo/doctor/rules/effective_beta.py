"""KLB201."""

import math
from collections.abc import Iterator

from kelbo.beta import explain_beta, format_beta
from kelbo.doctor.objective import Scale, Unsized, balances, unsized
from kelbo.doctor.program import Program
from kelbo.doctor.rule import Finding, Rule, Severity

# With less in front of D the weight may be meant to take it out: 1 / 784.
_LEAST = 0.1


class EffectiveBeta(Rule):
    """Reconstruction and KL term are reduced differently, which weighs the KL term.

    ## What it does
    Reads off the code by how much the reconstruction loss of a pixel and the KL term of a latent
    dimension count, and computes the effective beta: the weight that the KL term really has, 1 in
    the ELBO. It is reported where averages and sums make it differ much from 1; as a multiple of
    the number of pixels where the reconstruction is a mean over pixels that the script does not
    count. A mean squared error is taken for a Gaussian of unit variance.

    ## Why is this bad
    The ELBO sums over pixels and over latent dimensions. A mean of the one beside a sum of the
    other weighs the KL term in a way that nobody chose: by the number of pixels too much, and the
    posterior collapses, or too little, and samples from the prior mean nothing.

    ## Example
    ```python
    # x: (batch, 784)
    reconstruction = ops.mean(keras.losses.binary_crossentropy(x, x_decoded))  # a mean
    kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
    kl = -0.5 * ops.mean(ops.sum(kl, axis=-1))  # a sum: beta is 784
    ```

    ## Use instead
    ```python
    # x: (batch, 784)
    reconstruction = 784 * ops.mean(keras.losses.binary_crossentropy(x, x_decoded))
    kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
    kl = -0.5 * ops.mean(ops.sum(kl, axis=-1))
    ```
    """

    code = "KLB201"
    title = "Reconstruction and KL term are reduced differently"
    severity = Severity.WARNING
    why = (
        "Every Keras computes it as it is written. The ELBO sums both; a mean of the one or the "
        "other changes the weight of the KL term by the number of pixels or latent dimensions."
    )
    docs = "docs/kl-loss.md, rule 4"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every loss with both terms, and every KL term that a layer adds to a compiled loss."""
        for balance in balances(program):
            pixel, latent, beta = balance.pixel, balance.latent, balance.beta
            meaning = explain_beta(beta)
            if math.isclose(pixel.divided, latent.divided) or not meaning:
                continue
            cure = (
                f"the reconstruction by {format_beta(beta)}"
                if beta > 1.0
                else f"the KL term by {format_beta(1.0 / beta)}"
            )
            yield self.finding(
                balance.node,
                f"The reconstruction is {_reduced(pixel, 'pixels')}, the KL term is "
                f"{_reduced(latent, 'latent dimensions')}: with the factors that stand there, the "
                f"effective beta is {format_beta(beta)}. That is, {meaning}.",
                f"For the ELBO, beta 1, multiply {cure}; if the weight is meant, leave it and know "
                "it.",
            )
        for terms in unsized(program):
            if terms.factor >= _LEAST:
                yield self._of_unsized(terms)

    def _of_unsized(self, terms: Unsized) -> Finding:
        latent = terms.latent
        beta = "D" if terms.factor == 1.0 else f"{format_beta(terms.factor)} D"
        counted = "with D the number of values in one datum"
        if latent is not None:
            kl = _reduced(latent, "latent dimensions")
        else:
            kl = "a mean over all latent dimensions"
            beta += " / d"
            counted += " and d that of latent dimensions"
        return self.finding(
            terms.node,
            f"The reconstruction is a mean over all pixels, the KL term is {kl}: with the factors "
            f"that stand there, the effective beta is {beta}, {counted}.",
            f"For the ELBO, beta 1, multiply the reconstruction by {beta}; if the weight is meant, "
            "leave it and know it.",
        )


def _reduced(scale: Scale, things: str) -> str:
    if math.isclose(scale.divided, scale.elements):
        return f"a mean over {scale.elements:,} {things}"
    if scale.divided == 1.0:
        return f"a sum over {scale.elements:,} {things}"
    return f"a sum over {scale.elements:,} {things}, divided by {scale.divided:g}"
