"""KLB106."""

from collections.abc import Iterator

from kelbo.doctor import library
from kelbo.doctor.expressions import Expression, Reduction
from kelbo.doctor.objective import match_kl
from kelbo.doctor.program import Program
from kelbo.doctor.rule import Finding, Rule, Severity
from kelbo.doctor.values import Tensor
from kelbo.doctor.words import dotted


class LossPerSample(Rule):
    """`add_loss` is given one value for each datum instead of one number.

    ## What it does
    Reports `self.add_loss(...)` in a layer's call where the argument still has the batch axis.

    ## Why is this bad
    Of what a loss function returns Keras takes the mean over the batch. Of what `add_loss` gets,
    Keras 3.15 takes the sum: the KL term counts as often as there are data in a batch, silently,
    and its weight changes with the batch size. Keras 2 and Keras 3.0 stop, where they have to add
    it to another loss.

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
    docs = "docs/kl-loss.md, rule 4"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call."""
        for call in program.method_calls("add_loss"):
            loss = call.arguments.get(0, "losses", "loss")
            if call.step is None or not isinstance(loss, Tensor) or not _has_batch(loss):
                continue
            argument = call.node.args[0] if call.node.args else None
            name = dotted(argument, "its argument")
            mean = dotted(argument, "...")
            yield self.finding(
                call.node,
                f"{dotted(call.node.func)} gets {name}, which has one value for each datum of the "
                "batch.",
                f"Take the mean over the batch first: self.add_loss(ops.mean({mean})), on Keras 2 "
                f"tf.reduce_mean({mean}).",
            )


def _has_batch(tensor: Tensor) -> bool:
    if tensor.shape is not None:
        return any(map(library.has_batch, tensor.shape))
    return any(_keeps(atom) for _, atoms in tensor.expression.terms for atom in atoms)


def _keeps(atom: object) -> bool:
    """Whether a reduction surely leaves the batch axis: a KL term along one axis, not the first."""
    if not isinstance(atom, Reduction) or atom.axes is None or len(atom.axes) != 1:
        return False
    inner: Expression = atom.argument
    return atom.axes[0] != 0 and atom.shape is None and match_kl(inner) is not None
