"""KLB301."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Noise
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Constant, Function, Tensor, options


class SamplingLambda(Rule):
    """A Lambda layer draws the noise.

    ## What it does
    Reports `Lambda` layers whose function draws random numbers.

    ## Why is this bad
    Only the bytecode of a Lambda layer is saved. Once loaded it has lost the names that it used,
    Keras refuses a Python lambda as unsafe, and Keras 3 has no place in it for the state of the
    random numbers, which JAX requires.

    ## Example
    ```python
    z = keras.layers.Lambda(sampling)([mu, log_var])
    ```

    ## Use instead
    ```python
    @keras.saving.register_keras_serializable(package="vae")
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

    code = "KLB301"
    title = "A Lambda layer draws the noise"
    severity = Severity.WARNING
    generations = (
        ("Keras 2", "trains; its saved file loads without the names that the function uses"),
        ("Keras 3", "trains; safe_mode refuses its saved file, or the function is not found"),
    )
    why = "A Lambda layer is saved as code, without the modules and variables around it."
    recipe = "6-encoder-layer"
    docs = "docs/kl-loss.md, the four rules"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such layer."""
        noisy = {
            call.step.function.node
            for call in program.calls
            if call.step is not None and isinstance(call.result, Tensor)
            if isinstance(call.result.expression.atom, Noise)
        }
        for call in program.calls_of("keras.layers.Lambda", "keras.layers.core.Lambda"):
            for function in options(call.arguments.get(0, "function")):
                if isinstance(function, Function) and function.node in noisy:
                    named = call.arguments.get(None, "name")
                    name = f" {named.value}" if isinstance(named, Constant) else ""
                    of_name = isinstance(function.node, ast.FunctionDef)
                    drawing = function.name if of_name else "a lambda"
                    what = function.name if of_name else "its formula"
                    yield self.finding(
                        call.node,
                        f"The Lambda layer{name} calls {drawing}, which draws random numbers.",
                        f"Make {what} the call of a class Sampling(keras.layers.Layer) "
                        "with a SeedGenerator as an attribute, registered with "
                        "register_keras_serializable.",
                    )
