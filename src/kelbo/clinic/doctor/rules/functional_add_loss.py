"""KLB104."""

from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Instance, is_symbolic
from kelbo.clinic.doctor.words import dotted


class FunctionalAddLoss(Rule):
    """A loss computed from layer outputs is given to add_loss of a finished model or layer.

    ## What it does
    Reports `model.add_loss(...)` and `layer.add_loss(...)` outside of a `call`, where the argument
    is computed from symbolic tensors or the model is a functional one.

    ## Why is this bad
    Keras 2 makes the expression a part of the model. Keras 3 stores a functional model as layers
    from inputs to outputs, and a loss beside them has no place there: it stops with a
    NotImplementedError without a message, or earlier, if the expression uses tf or K.

    ## Example
    ```python
    kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
    vae.add_loss(-0.5 * ops.mean(kl))
    vae.compile("adam", loss="mse")
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

    code = "KLB104"
    title = "Keras 3 has no add_loss on a functional model"
    severity = Severity.ERROR
    only_keras_3 = True
    explanation = "add-loss-on-functional-model"
    docs = "docs/kl-loss.md, rule 3"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call."""
        for call in program.method_calls("add_loss"):
            loss = call.arguments.get(0, "losses", "loss")
            functional = any(
                isinstance(owner, Instance) and owner.is_model and owner.outputs is not None
                for owner in call.owners
            )
            if call.step is None and (is_symbolic(loss) or functional):
                argument = call.node.args[0] if call.node.args else None
                name = dotted(argument, "the expression")
                yield self.finding(
                    call.node,
                    f"{dotted(call.node.func)} gets {name}, which is computed from layer outputs "
                    "and not inside a layer.",
                    f"Compute {name} in the call of a layer that gets these outputs as its "
                    "inputs, and give it to self.add_loss there.",
                )
