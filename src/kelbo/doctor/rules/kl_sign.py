"""KLB202."""

from collections.abc import Iterator

from kelbo.doctor.objective import KL, losses
from kelbo.doctor.program import Program
from kelbo.doctor.rule import Finding, Rule, Severity
from kelbo.doctor.words import in_words


class KLSign(Rule):
    """The KL term is subtracted from the loss instead of added.

    ## What it does
    Follows the KL term, -0.5 (1 + log_var - mu^2 - exp(log_var)), into the loss, and reports it
    where it has the wrong sign there.

    ## Why is this bad
    The training then makes the KL term as large as it can: mu and log_var run away until the loss
    is NaN.

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
        """Every loss with such a KL term, where no weight of unknown sign stands before it."""
        weighted = {
            call.node
            for call in program.method_calls("compile")
            if call.arguments.get(3, "loss_weights") is not None
        }
        for loss in losses(program):
            if loss.step is not None and loss.step.node in weighted:
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
                        f"Write {-factor:g} in place of {factor:g}, -0.5 for the ELBO.",
                    )
