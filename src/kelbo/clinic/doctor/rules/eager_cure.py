"""KLB107."""

from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.words import dotted

_CURES = (
    "tensorflow.disable_eager_execution",
    "tensorflow.disable_v2_behavior",
    "tensorflow.python.framework.ops.disable_eager_execution",
)


class EagerCure(Rule):
    """Eager execution is turned off in a script that trains a Keras model.

    ## What it does
    Reports `disable_eager_execution()` and `disable_v2_behavior()` in a script that calls `fit`.

    ## Why is this bad
    This is the usual folk cure for a loss that reads symbolic tensors from outside. On Keras 2 it
    works by accident, and disables `train_step` and `compute_loss`. Keras 3 has no graph mode to
    return to: its `fit` stops with a RuntimeError about `tf.data.Dataset`.

    ## Example
    ```python
    from tensorflow.python.framework.ops import disable_eager_execution

    disable_eager_execution()
    ```

    ## Use instead
    ```python
    # no such line: a layer that gets mu and log_var adds the KL term
    mu, log_var = KLTerm()([mu, log_var])
    ```
    """

    code = "KLB107"
    title = "Eager execution is disabled"
    severity = Severity.ERROR
    only_keras_3 = True
    explanation = "eager-execution-disabled"
    docs = "docs/kl-loss.md, why it once worked"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call."""
        trains = any(program.method_calls("fit", "fit_generator", "train_on_batch"))
        if not trains or not program.uses("keras"):
            return
        for call in program.calls_of(*_CURES):
            if not call.guarded:
                yield self.finding(
                    call.node,
                    f"{dotted(call.node.func)}() puts the whole program into graph mode.",
                    "Remove the line. If the loss then fails, kelbo doctor says where it reads "
                    "from outside: give it what it needs as arguments.",
                )
