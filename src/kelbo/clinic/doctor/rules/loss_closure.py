"""KLB101."""

from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.words import in_words


class LossClosure(Rule):
    """A loss function or a metric uses layer outputs that it does not get as arguments.

    ## What it does
    Follows every function that `compile` is given as a loss or as a metric, and reports the names,
    attributes and default arguments in it that hold symbolic tensors of a functional model.

    ## Why is this bad
    The function runs in the training step. There a symbolic tensor is a placeholder without
    numbers: Keras 2 stops with "You are passing KerasTensor", Keras 3 with "A KerasTensor cannot
    be used as input". In graph mode it worked, because both were nodes of one graph.

    ## Example
    ```python
    def vae_loss(x, x_decoded):
        kl = -0.5 * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))
        return ops.mean(ops.square(x - x_decoded)) + kl  # mu and log_var: from outside


    vae.compile("adam", loss=vae_loss)
    ```

    ## Use instead
    ```python
    class KLTerm(keras.layers.Layer):
        def call(self, inputs):
            mu, log_var = inputs
            kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
            self.add_loss(-0.5 * ops.mean(kl))
            return mu, log_var


    mu, log_var = KLTerm()([mu, log_var])  # then z = Sampling()([mu, log_var])
    vae.compile("adam", loss="mse")
    ```
    """

    code = "KLB101"
    title = "The loss reads symbolic tensors from outside"
    severity = Severity.ERROR
    explanation = "loss-closure"
    why = (
        "They are placeholders: they describe the functional model and hold no numbers. The step "
        "works on a batch, and a placeholder knows nothing of it."
    )
    docs = "docs/kl-loss.md, rule 1"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every function that reads such tensors, at the first of them."""
        for reads in program.reads_by_function("loss", "metric"):
            names = in_words([read.name for read in reads])
            step = reads[0].step
            yield self.finding(
                reads[0].node,
                f"The {step.kind} function {step.function.name} uses {names}, which "
                f"{'are outputs of layers' if len(reads) > 1 else 'is the output of a layer'} "
                "and not among its arguments.",
                f"Give {names} to a layer where the model is built, let its call add the KL term "
                f"with self.add_loss, and leave to the loss what it can compute from its two "
                f"arguments; or make {names} an output of the model.",
            )
