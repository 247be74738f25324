"""KLB102."""

from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Instance
from kelbo.clinic.doctor.words import in_words


class LayerClosure(Rule):
    """A layer uses tensors of the model around it that are not among its inputs.

    ## What it does
    Follows the `call` of every layer, and the function of every Lambda layer. Reports what holds
    symbolic tensors of a functional model there: names of an outer scope or of the module, and
    attributes that were set when the layer was made.

    ## Why is this bad
    `call` runs anew in every training step, on the tensors of that batch. What it finds outside is
    the placeholder from the time when the model was built. Only Keras 2 in graph mode trains it.

    ## Example
    ```python
    class VAELoss(keras.layers.Layer):
        def call(self, inputs):
            x, x_decoded = inputs
            self.add_loss(reconstruction(x, x_decoded) + kl(mu, log_var))
            return x_decoded


    y = VAELoss()([x, x_decoded])
    ```

    ## Use instead
    ```python
    class VAELoss(keras.layers.Layer):
        def call(self, inputs):
            x, x_decoded, mu, log_var = inputs
            self.add_loss(reconstruction(x, x_decoded) + kl(mu, log_var))
            return x_decoded


    y = VAELoss()([x, x_decoded, mu, log_var])
    ```
    """

    code = "KLB102"
    title = "A layer's call reads symbolic tensors from outside"
    severity = Severity.ERROR
    explanation = "layer-closure"
    docs = "docs/kl-loss.md, rule 2"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every function that reads such tensors, at the first of them."""
        for reads in program.reads_by_function("call"):
            names = in_words([read.name for read in reads])
            step = reads[0].step
            owner = step.function.owner
            layer = owner.of.name if isinstance(owner, Instance) else "the Lambda layer"
            short = layer.rpartition(".")[2]
            yield self.finding(
                reads[0].node,
                f"{step.function.name} of {short} uses {names}, which it does not get as inputs.",
                f"Pass {names} to {short} when you call it, beside its other inputs, and take "
                f"them from the argument of {step.function.name}.",
            )
