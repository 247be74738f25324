"""KLB109."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Constant
from kelbo.clinic.doctor.words import dotted

_SWITCHES = (
    "tensorflow.config.run_functions_eagerly",
    "tensorflow.config.experimental_run_functions_eagerly",
)


class RunEagerly(Rule):
    """Functions run eagerly while a Keras model is trained.

    ## What it does
    Reports `tf.config.run_functions_eagerly(True)` and `compile(run_eagerly=True)` in a script that
    calls `fit`, and `compile(experimental_run_tf_function=False)`.

    ## Why is this bad
    This is right for debugging. It does not cure a KL term that reads symbolic tensors: the tensors
    stay placeholders, TensorFlow 2.2 and 2.3 then train on a loss of 0, and every step is several
    times slower.

    ## Example
    ```python
    tf.config.run_functions_eagerly(True)
    vae.fit(x_train, x_train)
    ```

    ## Use instead
    ```python
    mu, log_var = KLTerm()([mu, log_var])  # a layer whose call adds the KL term
    vae.fit(x_train, x_train)
    ```
    """

    code = "KLB109"
    title = "Every step runs eagerly"
    severity = Severity.WARNING
    generations = (
        ("Keras 2", "slow; TensorFlow 2.2 and 2.3 may train on a loss of 0"),
        ("Keras 3", "slow on TensorFlow, no effect on a loss that reads from outside"),
    )
    why = "Eager or not, a symbolic tensor holds no numbers."
    recipe = "1-loss-closure"
    docs = "docs/kl-loss.md, why it once worked"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such switch."""
        if not any(program.method_calls("fit", "fit_generator", "train_on_batch")):
            return
        true, false = Constant(True), Constant(False)
        for call in program.calls:
            arguments = call.arguments
            if call.names & set(_SWITCHES) and arguments.get(0, "run_eagerly") == true:
                yield self._at(call.node, dotted(call.node.func))
            elif call.method == "compile" and (
                arguments.get(None, "run_eagerly") == true
                or arguments.get(None, "experimental_run_tf_function") == false
            ):
                yield self._at(call.node, dotted(call.node.func))

    def _at(self, node: ast.AST, name: str) -> Finding:
        return self.finding(
            node,
            f"{name} makes every training step run without being compiled.",
            "Keep it for debugging alone, and remove it if it was meant as a cure.",
        )
