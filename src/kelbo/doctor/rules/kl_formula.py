"""KLB203."""

import ast
from collections.abc import Iterator

from kelbo.doctor.objective import kl_terms
from kelbo.doctor.program import Program
from kelbo.doctor.rule import Finding, Rule, Severity
from kelbo.doctor.values import Tensor


class KLFormula(Rule):
    """The KL term is written with a slip in its formula.

    ## What it does
    Recognises the KL divergence of a diagonal Gaussian from N(0, I) by its parts, a constant, mu^2,
    log_var and exp(log_var), and reports a wrong sign of one of them, a mean that is not squared,
    and a variance that does not belong to the log-variance.

    ## Why is this bad
    What is minimised is no KL divergence: its minimum is not at mu = 0, log_var = 0, or it has
    none.

    ## Example
    ```python
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(2 * log_var), axis=-1)
    ```

    ## Use instead
    ```python
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    ```
    """

    code = "KLB203"
    title = "The KL formula has a slip"
    severity = Severity.ERROR
    why = (
        "On every Keras it trains, towards something else: -0.5 (1 + log_var - mu^2 - "
        "exp(log_var)) is the only form whose minimum, 0, is at mu = 0 and log_var = 0."
    )
    docs = "docs/kl-loss.md"

    def check(self, program: Program) -> Iterator[Finding]:
        """The whole sum, where it is written down."""
        for node, kl in kl_terms(program):
            if not isinstance(node, ast.BinOp) or not kl.mistake or not _is_whole(node, program):
                continue
            # What has no name may be a square that is written in another way.
            if program.names_of(kl.mean):
                yield self.finding(
                    node,
                    f"In this KL term {kl.mistake}.",
                    "Write -0.5 * sum(1 + log_var - mu**2 - exp(log_var)) with one log_var: "
                    "the logarithm of the variance, in both places.",
                )


def _is_whole(node: ast.BinOp, program: Program) -> bool:
    """Whether a sum has its constant: parts of a longer sum have none yet."""
    value = program.value(node)
    return isinstance(value, Tensor) and any(not atoms for _, atoms in value.expression.terms)
