"""KLB203."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.objective import kl_terms
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Tensor


class KLFormula(Rule):
    """The KL term is written with a slip in its formula.

    ## What it does
    Recognises the KL divergence of a diagonal Gaussian from N(0, I) by its parts, a constant, mu^2,
    log_var and exp(log_var), and reports a wrong sign of one of them, a mean that is not squared,
    a forgotten exponential, and a variance that does not belong to the log-variance.

    ## Why is this bad
    What is minimised is not a KL divergence: its minimum is not at mu = 0, log_var = 0, or it has
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
        "Every Keras trains it, but towards something else: -0.5 (1 + log_var - mu^2 - "
        "exp(log_var)) is the only form whose minimum, 0, is at mu = 0 and log_var = 0."
    )
    docs = "docs/kl-loss.md"

    def check(self, program: Program) -> Iterator[Finding]:
        """The whole sum, where it is written down."""
        for node, value in program.tensors:
            if (log_var := _cancelled(node, value, program)) is not None:
                name = next(iter(program.names_of(log_var)), "log_var")
                yield self.finding(
                    node,
                    f"In this KL term {name} is added and subtracted: exp is missing.",
                    f"Write exp({name}) where it is subtracted.",
                )
        for node, kl in kl_terms(program):
            if not isinstance(node, ast.BinOp) or not kl.mistake or not _is_whole(node, program):
                continue
            # A mean without a name may be a square that is written in another way.
            if program.names_of(kl.mean):
                yield self.finding(
                    node,
                    f"In this KL term {kl.mistake}.",
                    "Write -0.5 * sum(1 + log_var - mu**2 - exp(log_var)) with one log_var: "
                    "the logarithm of the variance, in both places.",
                )


def _cancelled(node: ast.AST, value: Tensor, program: Program) -> Tensor | None:
    """L of a sum that is written 1 + L - mu^2 - L; None for any other sum."""
    terms = value.expression.terms
    squares = [a for _, atoms in terms for a in atoms if getattr(a, "name", "") == "square"]
    if not isinstance(node, ast.BinOp) or len(terms) != 2 or len(squares) != 1:
        return None
    if sum(coefficient for coefficient, _ in terms):
        return None
    parts = list(_parts(node, 1.0))
    tensors = [(sign, program.value(part)) for sign, part in parts]
    named = [(sign, t) for sign, t in tensors if isinstance(t, Tensor) and t.opaque is not None]
    if len(named) != 2 or len(parts) != 4:
        return None
    (one, first), (other, second) = named
    return first if first.opaque == second.opaque and one == -other else None


def _parts(node: ast.expr, sign: float) -> Iterator[tuple[float, ast.expr]]:
    """The parts of a sum, each with its sign."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _parts(node.left, sign)
        yield from _parts(node.right, sign if isinstance(node.op, ast.Add) else -sign)
    else:
        yield sign, node


def _is_whole(node: ast.BinOp, program: Program) -> bool:
    """Whether a sum has its constant; the parts of a longer sum have none yet."""
    value = program.value(node)
    return isinstance(value, Tensor) and any(not atoms for _, atoms in value.expression.terms)
