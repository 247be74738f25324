"""KLB215."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Expression, Opaque, Operation, of
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity


class UnboundedLogVar(Rule):
    """A Gaussian decoder learns its variance, and nothing bounds it.

    ## What it does
    Reports the negative log-likelihood of a Gaussian, log_var + (x - mean)^2 / exp(log_var), whose
    log_var comes from a layer without an activation and is not clipped.

    ## Why is this bad
    Where the mean meets the data the variance can shrink without end: the loss falls to minus
    infinity, and one step too far makes exp(-log_var) infinite and the loss NaN.

    ## Example
    ```python
    log_var_x = keras.layers.Dense(784)(h)
    nll = 0.5 * ops.sum(log_var_x + ops.square(x - mean_x) / ops.exp(log_var_x), axis=-1)
    ```

    ## Use instead
    ```python
    log_var_x = ops.clip(keras.layers.Dense(784)(h), -6.0, 2.0)
    nll = 0.5 * ops.sum(log_var_x + ops.square(x - mean_x) / ops.exp(log_var_x), axis=-1)
    ```
    """

    code = "KLB215"
    title = "The variance of a Gaussian decoder has no lower bound"
    severity = Severity.WARNING
    why = (
        "Every Keras trains it until the variance of some pixel is 0: the likelihood of a Gaussian "
        "has no upper bound, and exp(-log_var) overflows."
    )
    explanation = "loss-nan"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such likelihood."""
        linear = {
            value.opaque
            for _, value in program.tensors
            if value.opaque and value.activation == "linear"
        }
        clip = "tf.clip_by_value" if program.uses("tensorflow") else "keras.ops.clip"
        clip = "ops.clip" if program.uses("keras.ops") else clip
        for node, value in () if program.changes_activations or not linear else program.tensors:
            if isinstance(node, ast.BinOp | ast.Call):
                log_var = _learned_log_var(value.expression)
                if log_var is None or not {log_var, Opaque(log_var.key[:1])} & linear:
                    continue
                name = next(iter(program.names_of(of(log_var))), "log_var")
                yield self.finding(
                    node,
                    f"{name} is the log-variance of the decoder, and nothing keeps it from going "
                    "to minus infinity.",
                    f"Clip it, {name} = {clip}({name}, -6.0, 2.0) with limits that suit the "
                    "noise of your data; or learn one variance for all pixels.",
                )


def _learned_log_var(expression: Expression) -> Opaque | None:
    """L of c (L + (x - m)^2 e^-L) + ...; None for anything else."""
    squares = []
    for coefficient, atoms in expression.terms:
        exponentials = [a for a in atoms if isinstance(a, Operation) and a.name == "exp"]
        if not exponentials:
            continue
        squared = [a for a in atoms if isinstance(a, Operation) and a.name == "square"]
        differences = [a for a in squared if len(a.argument.terms) == 2]
        if len(atoms) != 2 or len(differences) != 1:
            return None  # perhaps of a KL divergence
        squares.append((coefficient, exponentials[0].argument))
    if len(squares) != 1 or len(squares[0][1].terms) != 1:
        return None
    coefficient, exponent = squares[0]
    ((scale, source),) = exponent.terms
    if len(source) != 1 or not isinstance(source[0], Opaque) or scale >= 0:
        return None
    linear = [c for c, atoms in expression.terms if atoms == source]
    return source[0] if linear and linear[0] * coefficient > 0 else None
