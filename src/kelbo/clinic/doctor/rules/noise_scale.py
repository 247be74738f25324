"""KLB205."""

import math
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Noise, Operation
from kelbo.clinic.doctor.noise import Draw, draws_of_z
from kelbo.clinic.doctor.objective import kl_terms
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Constant

_POSITIONS = {
    "keras.backend.random_normal": 2,
    "keras.random.normal": 2,
    "tensorflow.random.normal": 2,
    "tensorflow.random_normal": 2,
    "numpy.random.normal": 1,
}


class NoiseScale(Rule):
    """The noise of z has another standard deviation than 1, beside a KL term that supposes 1.

    ## What it does
    Reports normal noise that is multiplied by exp(0.5 * log_var) or the like, if its standard
    deviation is a known number other than 1, and the script has a KL term.

    ## Why is this bad
    With noise of standard deviation 0.01 z is drawn from a Gaussian a hundred times narrower than
    the one in the KL term. The model is nearly a plain autoencoder: the KL term charges for a width
    that z never has, the decoder never sees the gaps between the codes, and the loss is no bound.

    ## Example
    ```python
    noise = keras.random.normal(ops.shape(mu), stddev=0.01)
    z = mu + ops.exp(0.5 * log_var) * noise
    ```

    ## Use instead
    ```python
    noise = keras.random.normal(ops.shape(mu))
    z = mu + ops.exp(0.5 * log_var) * noise
    ```
    """

    code = "KLB205"
    title = "The noise of z is wider or narrower than the KL term supposes"
    severity = Severity.WARNING
    why = (
        "Every Keras trains it without complaint: z is drawn from another Gaussian than the one "
        "in the KL term, and the loss is no longer a bound on log p(x)."
    )
    docs = "docs/kl-loss.md"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such draw."""
        if not kl_terms(program):
            return
        for draw in draws_of_z(program):
            deviation = _deviation(draw)
            factor = _factor(draw, program)
            if deviation is None or factor is None or math.isclose(deviation * factor, 1.0):
                continue
            yield self.finding(
                draw.node,
                f"The noise of z has a standard deviation of {deviation * factor:g}, but the KL "
                "term supposes 1.",
                "Draw it with a standard deviation of 1. To give the KL term less weight, multiply "
                "it by a beta.",
            )


def _deviation(draw: Draw) -> float | None:
    """The standard deviation with which noise is drawn; None if it is not one known number."""
    found = {_of_call(call) for call in draw.calls}
    return found.pop() if len(found) == 1 else None


def _of_call(call: Call) -> float | None:
    positions = {_POSITIONS.get(name) for name in call.names}
    position = positions.pop() if len(positions) == 1 else None
    value = call.arguments.get(position, "stddev", "std", "scale")
    if value is None:
        return 1.0
    known = isinstance(value, Constant) and isinstance(value.value, int | float)
    return float(value.value) if known else None  # type: ignore[union-attr]


def _factor(draw: Draw, program: Program) -> float | None:
    """The number beside exp(...) that the noise is multiplied by; None if there are several."""
    factors = {
        abs(coefficient)
        for _, value in program.tensors
        for coefficient, atoms in value.expression.terms
        if any(isinstance(atom, Noise) and atom.node is draw.node for atom in atoms)
        and any(isinstance(atom, Operation) and atom.name == "exp" for atom in atoms)
        and len(atoms) == 2
    }
    if not factors:
        return 1.0
    return factors.pop() if len(factors) == 1 else None
