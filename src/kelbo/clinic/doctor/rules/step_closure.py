"""KLB103."""

from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.words import in_words


class StepClosure(Rule):
    """A training step uses tensors of the functional model in place of the batch's.

    ## What it does
    Follows `train_step`, `test_step`, `compute_loss`, `compute_metrics` and functions under
    `tf.function`, and reports the symbolic tensors in them.

    ## Why is this bad
    A symbolic tensor has no numbers and no gradient. On Keras 2 the step stops with "'KerasTensor'
    object has no attribute '_id'", on Keras 3 with "A KerasTensor cannot be used as input".

    ## Example
    ```python
    class VAE(keras.Model):
        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = kl(mu, log_var)  # layer outputs, from the time when the model was built
            ...
    ```

    ## Use instead
    ```python
    class VAE(keras.Model):
        def train_step(self, data):
            with tf.GradientTape() as tape:
                mu, log_var, z = self.encoder(data)
                loss = kl(mu, log_var)
            ...
    ```
    """

    code = "KLB103"
    title = "A training step reads symbolic tensors from outside"
    severity = Severity.ERROR
    generations = (
        ("Keras 2, eager", "AttributeError: 'KerasTensor' object has no attribute '_id'"),
        ("Keras 2, graph mode", "the step is not run at all"),
        ("Keras 3", "ValueError: A KerasTensor cannot be used as input, or the AttributeError"),
    )
    why = "They are placeholders from the time when the model was built, without numbers."
    recipe = "5-train-step"
    docs = "docs/kl-loss.md, rule 1"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every function that reads such tensors, at the first of them."""
        kinds = ("train_step", "test_step", "compute_loss", "compute_metrics", "tf.function")
        for reads in program.reads_by_function(*kinds):
            names = in_words([read.name for read in reads])
            function = reads[0].step.function.name
            yield self.finding(
                reads[0].node,
                f"{function} uses {names}, which are outputs of layers and belong to no batch.",
                f"Compute {names} in {function} from its own data, by calling the model or the "
                "encoder on them.",
            )
