"""KLB204."""

import ast
from collections.abc import Iterator

from kelbo.doctor.expressions import Expression, Noise, Operation
from kelbo.doctor.objective import kl_terms
from kelbo.doctor.program import Program
from kelbo.doctor.rule import Finding, Rule, Severity

_NAMES = ("logvar", "logvariance", "logsigma2", "logsigmasq", "logsigmasquared", "logvars")


class StandardDeviation(Rule):
    """The exponential of the log-variance multiplies the noise, without the half.

    ## What it does
    Reports z = mu + exp(log_var) * noise, where the KL term or the name says that log_var is the
    logarithm of the variance.

    ## Why is this bad
    exp(log_var) is the variance; the standard deviation is exp(0.5 * log_var). The noise does then
    not belong to the Gaussian whose KL divergence is in the loss, so that the loss is no bound.

    ## Example
    ```python
    z = mu + ops.exp(log_var) * noise
    ```

    ## Use instead
    ```python
    z = mu + ops.exp(0.5 * log_var) * noise
    ```
    """

    code = "KLB204"
    title = "The variance is used as the standard deviation"
    severity = Severity.ERROR
    why = (
        "Every Keras trains it, and nothing complains: z is drawn from another Gaussian than the "
        "one in the KL term, and the loss is no longer a bound on log p(x)."
    )
    docs = "docs/kl-loss.md"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every product of such an exponential with noise."""
        # The same tensor may stand in the KL term as a logarithm of sigma: twice it, there.
        of_kl = {kl.log_var for _, kl in kl_terms(program) if kl.factor is not None}
        sources = {atoms for known in of_kl for _, atoms in known.terms}
        for node, value in program.tensors:
            if isinstance(node, ast.BinOp | ast.Call):
                for exponent in _exponents(value.expression):
                    names = program.names_of(exponent)
                    elsewhere = any(atoms in sources for _, atoms in exponent.terms)
                    named = bool(names) and all(map(_is_log_var, names)) and not elsewhere
                    if exponent in of_kl or named:
                        name = names[0] if names else "log_var"
                        where = "in the KL term " if exponent in of_kl else ""
                        yield self.finding(
                            node,
                            f"The noise is multiplied by exp({name}), and {where}{name} is the "
                            "logarithm of the variance.",
                            f"Multiply it by exp(0.5 * {name}).",
                        )


def _exponents(product: Expression) -> Iterator[Expression]:
    """Of a product of normal noise and exponentials: what is in the exponentials."""
    if len(product.terms) == 1:
        ((_, atoms),) = product.terms
        if any(isinstance(atom, Noise) and atom.kind == "normal" for atom in atoms):
            for atom in atoms:
                if isinstance(atom, Operation) and atom.name == "exp":
                    yield atom.argument


def _is_log_var(name: str) -> bool:
    return name.lower().replace("_", "").endswith(_NAMES)
