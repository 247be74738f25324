"""KLB204."""

import ast
import math
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Atom, Expression, Noise, Operation
from kelbo.clinic.doctor.objective import kl_terms
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity

_NAMES = ("logvar", "logvariance", "logsigma2", "logsigmasq", "logsigmasquared", "logvars")
# Functions that a script may write in place of exp(0.5 log_var).
_FUNCTIONS = ("abs", "exp", "softplus", "sqrt", "square")
# What a tensor is the logarithm of, by the factor that makes it the log-variance.
_LOGARITHMS = {1.0: "variance", 2.0: "standard deviation"}


class StandardDeviation(Rule):
    """The noise is not multiplied by the standard deviation of the Gaussian in the KL term.

    ## What it does
    Reports z = mu + exp(log_var) * noise, if the KL term or the name says that log_var is the
    logarithm of the variance; with a KL term also log_var * noise without the exponential,
    exp(2 * log_var), sqrt(log_var) and the like.

    ## Why is this bad
    exp(log_var) is the variance; the standard deviation is exp(0.5 * log_var). With any other
    factor z is not drawn from the Gaussian whose KL divergence is in the loss, and the loss is not
    a bound.

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
    title = "The noise has another standard deviation than the KL term"
    severity = Severity.ERROR
    why = (
        "Every Keras trains it without complaint: z is drawn from another Gaussian than the "
        "one in the KL term, and the loss is no longer a bound on log p(x)."
    )
    docs = "docs/kl-loss.md"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every product of such an exponential with noise."""
        # By its source: the number that makes the source log_var.
        of_kl = {
            source: factor
            for _, kl in kl_terms(program)
            if kl.factor is not None and len(kl.log_var.terms) == 1
            for factor, source in kl.log_var.terms
        }
        sigmas = {_sigma(source) for source in of_kl} - {None}
        for node, value in program.tensors:
            if not isinstance(node, ast.BinOp | ast.Call):
                continue
            for atom in _multipliers(value.expression):
                written, source, factor = _taken_apart(atom)
                names = program.names_of(Expression(((1.0, source),)))
                name = names[0] if names else "log_var"
                if source in of_kl:
                    double = of_kl[source]
                    if written == "exp" and math.isclose(factor, 0.5 * double):
                        continue
                    logarithm = _LOGARITHMS.get(double)
                    if logarithm is None:
                        continue
                    happens = f"in the KL term {name} is the logarithm of the {logarithm}"
                    right = _exponential(0.5 * double, name)
                elif written == "exp" and source in sigmas:
                    happens = f"in the KL term {name} is the standard deviation itself"
                    right = (
                        f"{name}; or write the KL term with the logarithm, "
                        "1 + log_var - mu**2 - exp(log_var)"
                    )
                elif written == "exp" and factor == 1.0 and names and all(map(_is_log_var, names)):
                    happens = f"{name} is the logarithm of the variance"
                    right = _exponential(0.5, name)
                else:
                    continue
                wrong = _exponential(factor, name) if written == "exp" else name
                wrong = f"{written}({name})" if written not in ("", "exp") else wrong
                yield self.finding(
                    node,
                    f"The noise is multiplied by {wrong}, but {happens}.",
                    f"Multiply it by {right}.",
                )


def _multipliers(product: Expression) -> list[Atom]:
    """What normal noise is multiplied by in a product; empty if it is no such product."""
    if len(product.terms) != 1:
        return []
    ((_, atoms),) = product.terms
    others: list[Atom] = [atom for atom in atoms if not isinstance(atom, Noise)]
    normal = [atom for atom in atoms if isinstance(atom, Noise) and atom.kind == "normal"]
    return others if normal else []


def _taken_apart(atom: Atom) -> tuple[str, tuple[Atom, ...], float]:
    """The function of an atom, empty for none, its source, and the number before the source."""
    if isinstance(atom, Operation) and atom.name in _FUNCTIONS:
        terms = atom.argument.terms
        factor, source = terms[0] if len(terms) == 1 else (1.0, ())
        # The argument of sqrt(2 x) and the like is not taken apart.
        known = atom.name == "exp" or factor == 1.0
        return (atom.name, source, factor) if known else (atom.name, (), factor)
    return "", (atom,), 1.0


def _sigma(source: tuple[Atom, ...]) -> tuple[Atom, ...] | None:
    """sigma, if the source is log(sigma); else None."""
    (atom,) = source if len(source) == 1 else (None,)
    inner = atom.argument.atom if isinstance(atom, Operation) and atom.name == "log" else None
    return None if inner is None else (inner,)


def _exponential(factor: float, name: str) -> str:
    return f"exp({name})" if factor == 1.0 else f"exp({factor:g} * {name})"


def _is_log_var(name: str) -> bool:
    return name.lower().replace("_", "").endswith(_NAMES)
