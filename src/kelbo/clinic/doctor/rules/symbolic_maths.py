"""KLB402."""

from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Expression, parts
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Known, Tensor, Value, is_symbolic, options
from kelbo.clinic.doctor.words import dotted

_LIBRARIES = ("tensorflow.", "jax.", "torch.", "keras.backend.")
_HARMLESS = {
    "keras.backend.int_shape",
    "keras.backend.is_keras_tensor",
    "keras.backend.ndim",
    "tensorflow.is_tensor",
}


class SymbolicMaths(Rule):
    """A function of TensorFlow, JAX or PyTorch is called on tensors of a functional model.

    ## What it does
    Reports, once in each function, a call of tf.*, tf.keras.backend.*, jax.* or torch.* on a
    symbolic tensor outside of a layer. A loss that is given to add_loss is left to KLB104.

    ## Why is this bad
    Keras 2 wraps most of TensorFlow's functions in a layer, silently. Keras 3 stops: "A KerasTensor
    cannot be used as input to a TensorFlow function".

    ## Example
    ```python
    epsilon = tf.random.normal(tf.shape(mu))
    z = mu + tf.exp(0.5 * log_var) * epsilon
    ```

    ## Use instead
    ```python
    class Sampling(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = keras.random.SeedGenerator()

        def call(self, inputs):
            mu, log_var = inputs
            noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
            return mu + ops.exp(0.5 * log_var) * noise


    z = Sampling()([mu, log_var])
    ```
    """

    code = "KLB402"
    title = "A function of the backend gets a symbolic tensor"
    severity = Severity.ERROR
    only_keras_3 = True
    explanation = "backend-function-on-symbolic-tensor"
    docs = "docs/kl-loss.md, rule 3"

    def check(self, program: Program) -> Iterator[Finding]:
        """The first such call in each function."""
        added: set[Expression] = set()
        for call in program.method_calls("add_loss"):
            loss = call.arguments.get(0, "losses", "loss")
            if isinstance(loss, Tensor):
                added |= set(_all_parts(loss.expression))
        seen = set()
        for call in program.calls:
            if call.frame in seen or not _is_maths_on_symbols(call):
                continue
            if isinstance(call.result, Tensor) and call.result.expression in added:
                continue
            seen.add(call.frame)
            name = dotted(call.node.func)
            yield self.finding(
                call.node,
                f"{name} gets the output of a layer where the model is built.",
                f"Move the formula with {name} into the call of a layer, and write it there with "
                "keras.ops, which run on every backend.",
            )


def _is_maths_on_symbols(call: Call) -> bool:
    """Whether a library computes with symbolic tensors, outside of every step."""
    return (
        call.step is None
        and not call.guarded
        and bool(call.names)
        and all(name.startswith(_LIBRARIES) for name in call.names)
        and not call.names & _HARMLESS
        and not any(map(_is_gone, options(call.function)))
        and is_symbolic(call.arguments.all)
    )


def _is_gone(function: Value) -> bool:
    """Whether Keras 3 lacks a function altogether: one of `keras.backend` with `import keras`."""
    return isinstance(function, Known) and function.spelled.startswith("keras.backend.")


def _all_parts(expression: Expression) -> Iterator[Expression]:
    """An expression, and all that it is computed from."""
    todo = [expression]
    while todo:
        here = todo.pop()
        yield here
        for _, atoms in here.terms:
            for atom in atoms:
                yield Expression(((1.0, (atom,)),))
                todo.extend(parts(atom))
