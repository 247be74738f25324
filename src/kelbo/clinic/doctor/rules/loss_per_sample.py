"""KLB106."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.divergence import KL, match_kl
from kelbo.clinic.doctor.expressions import Expression, Reduction
from kelbo.clinic.doctor.objective import terms
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Tensor
from kelbo.clinic.doctor.words import dotted

# The longest expression that a sentence can hold.
_LONGEST = 40


class LossPerSample(Rule):
    """`add_loss` is given one value for each datum instead of one number.

    ## What it does
    Reports `self.add_loss(...)` in a layer's call where the argument still has the batch axis.

    ## Why is this bad
    Keras takes the mean over the batch of what a loss function returns. Of what `add_loss` gets,
    Keras 3.15 silently takes the sum: a KL term alone counts as often as there are data in a batch,
    so that its weight changes with the batch size; a whole loss grows with it. Keras 2 and Keras
    3.0 stop when they add it to another loss.

    ## Example
    ```python
    kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
    kl = -0.5 * ops.sum(kl, axis=-1)  # one value for each image
    self.add_loss(kl)
    ```

    ## Use instead
    ```python
    kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
    kl = -0.5 * ops.sum(kl, axis=-1)  # one value for each image
    self.add_loss(ops.mean(kl))
    ```
    """

    code = "KLB106"
    title = "add_loss gets one value for each datum"
    severity = Severity.ERROR
    explanation = "loss-per-sample"
    generations = (
        ("Keras 2 and Keras 3.0", "stop when they add it to another loss"),
        ("Keras 3.15", "no error: add_loss sums the vector, so that it counts batch-size times"),
    )
    docs = "docs/kl-loss.md, rule 4"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call, unless the script's own training step adds up what layers add."""
        if _adds_losses_itself(program):
            return
        for call in program.method_calls("add_loss"):
            loss = call.arguments.get(0, "losses", "loss")
            if call.step is None or not isinstance(loss, Tensor) or not _has_batch(loss):
                continue
            argument = call.node.args[0] if call.node.args else None
            written = ast.unparse(argument) if argument is not None else ""
            short = 0 < len(written) <= _LONGEST
            mean = written if short else "..."
            yield self.finding(
                call.node,
                f"{dotted(call.node.func)} gets {written if short else 'its argument'}, which has "
                f"one value for each datum of the batch.{_what_grows(loss)}",
                f"Take the mean over the batch first: {dotted(call.node.func)}(ops.mean({mean})), "
                f"on Keras 2 tf.reduce_mean({mean}).",
            )


def _adds_losses_itself(program: Program) -> bool:
    return any(
        isinstance(inner, ast.Attribute) and inner.attr == "losses"
        for node in ast.walk(program.tree)
        if isinstance(node, ast.FunctionDef) and node.name in ("train_step", "compute_loss")
        for inner in ast.walk(node)
    )


def _what_grows(loss: Tensor) -> str:
    """A sentence on what the sum over the batch changes; empty if that is not known."""
    kinds = {isinstance(term.content, KL) for term in terms(loss.expression)}
    if kinds == {True, False}:
        return (
            " Reconstruction and KL term are both in it: they keep their weights to each other, "
            "and the whole loss grows with the batch size."
        )
    return " The weight of the KL term grows with the batch size." if kinds == {True} else ""


def _has_batch(tensor: Tensor) -> bool:
    if tensor.shape is not None:
        return any(map(library.has_batch, tensor.shape))
    return any(_keeps(atom) for _, atoms in tensor.expression.terms for atom in atoms)


def _keeps(atom: object) -> bool:
    """Whether a reduction certainly keeps the batch axis: a KL term along one other axis."""
    if not isinstance(atom, Reduction) or atom.axes is None or len(atom.axes) != 1:
        return False
    inner: Expression = atom.argument
    return atom.axes[0] != 0 and atom.shape is None and match_kl(inner) is not None
