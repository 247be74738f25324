"""KLB202."""

from collections.abc import Iterator

from kelbo.clinic.doctor.divergence import KL
from kelbo.clinic.doctor.objective import Loss, losses
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.words import in_words

# The steps whose results Keras minimises.
_OF_KERAS = ("loss", "compute_loss")


class KLSign(Rule):
    """The KL term is subtracted from the loss instead of added.

    ## What it does
    Follows the KL term, -0.5 (1 + log_var - mu^2 - exp(log_var)), into the loss, and reports it if
    it has the wrong sign there.

    ## Why is this bad
    Training then makes the KL term as large as it can: mu and log_var run away until the loss is
    NaN.

    ## Example
    ```python
    kl = 0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    loss = ops.mean(reconstruction + kl)
    ```

    ## Use instead
    ```python
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    loss = ops.mean(reconstruction + kl)
    ```
    """

    code = "KLB202"
    title = "The KL term has the wrong sign"
    severity = Severity.ERROR
    why = (
        "On every Keras the loss has no lower bound: it falls without end, and mu and log_var grow "
        "until it is NaN. A KL divergence is never negative, and a loss adds it."
    )
    docs = "docs/kl-loss.md"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every loss with such a KL term, unless a weight of unknown sign multiplies it."""
        weighted = {
            call.node
            for call in program.method_calls("compile")
            if call.arguments.get(3, "loss_weights") is not None
        }
        for loss in losses(program):
            if loss.step is not None and loss.step.node in weighted:
                continue
            if not _is_minimised(loss):
                continue
            for term in loss.terms:
                kl = term.content
                if not isinstance(kl, KL) or kl.factor is None or term.weights:
                    continue
                factor = term.factor * kl.factor
                if factor > 0:
                    found = [*program.names_of(kl.mean)[:1], *program.names_of(kl.log_var)[:1]]
                    parts = in_words(found or ["mu", "log_var"])
                    yield self.finding(
                        loss.node,
                        f"The loss contains {factor:+g} times (1 + log_var - mu^2 - "
                        f"exp(log_var)), reduced over the axes, with {parts} in it: a negative "
                        "KL term.",
                        f"Write {-factor:g} in place of {factor:g}"
                        f"{'' if factor == 0.5 else ', -0.5 for the ELBO'}.",
                    )


def _is_minimised(loss: Loss) -> bool:
    """Whether a loss is certain to be minimised.

    What a script differentiates may also be an ELBO that it maximises. A KL term of the opposite
    sign beside the one in question tells two kinds of data apart, as in IntroVAE.
    """
    terms = [(term.factor, term.content) for term in loss.terms]
    signs = [factor * (kl.factor or 0.0) for factor, kl in terms if isinstance(kl, KL)]
    by_keras = loss.by_layer or (loss.step is not None and loss.step.kind in _OF_KERAS)
    reconstructed = any(factor > 0 for factor, kl in terms if not isinstance(kl, KL))
    return min(signs, default=0.0) >= 0 and (by_keras or reconstructed)
