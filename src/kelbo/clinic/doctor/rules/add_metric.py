"""KLB105."""

from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Instance
from kelbo.clinic.doctor.words import dotted


class AddMetric(Rule):
    """A layer or a model reports a term by `add_metric`.

    ## What it does
    Reports calls of `add_metric` on layers and models, and on other objects if they are written as
    Keras's are.

    ## Why is this bad
    Keras 3 has no `add_metric`: it stops with a NotImplementedError, Keras 3.0 with a TypeError.

    ## Example
    ```python
    class KLTerm(keras.layers.Layer):
        def call(self, inputs):
            ...
            self.add_metric(kl, name="kl_loss", aggregation="mean")
    ```

    ## Use instead
    ```python
    class VAE(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.kl_tracker = keras.metrics.Mean(name="kl_loss")

        def compute_loss(self, x, y, y_pred, sample_weight=None, **kwargs):
            kl = kl_of(y_pred["mu"], y_pred["log_var"])
            self.kl_tracker.update_state(kl)
            return ops.mean(ops.square(y - y_pred["x"])) + kl
    ```
    """

    code = "KLB105"
    title = "add_metric is gone"
    severity = Severity.ERROR
    only_keras_3 = True
    explanation = "add-metric-gone"
    docs = "docs/kl-loss.md, which message, which rule"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call."""
        is_own = any("add_metric" in made.body for made in program.classes)
        of_others = program.uses("keras") and not is_own
        for call in program.method_calls("add_metric"):
            of_keras = any(isinstance(owner, Instance) and owner.is_layer for owner in call.owners)
            alike = of_others and "aggregation" in dict(call.arguments.keywords)
            if call.owners and not call.guarded and (of_keras or alike):
                value = dotted(call.node.args[0] if call.node.args else None, "the value")
                yield self.finding(
                    call.node,
                    f"{dotted(call.node.func)} reports {value}.",
                    f"Make a keras.metrics.Mean in the model's __init__, and update it with "
                    f"{value} in compute_loss.",
                )
