"""KLB407."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import is_model_name
from kelbo.clinic.doctor.words import dotted

_LAYERS = "tensorflow_probability.layers."


class ProbabilityLayers(Rule):
    """A layer of TensorFlow Probability is in a script with a model of Keras 3.

    ## What it does
    Reports what is made from `tfp.layers`, if the script makes a model from `keras` or
    `tensorflow.keras` and does not ask for Keras 2.

    ## Why is this bad
    The layers of TensorFlow Probability are layers of tf_keras, which is Keras 2. They take no
    tensor of a functional model of Keras 3, and a model of Keras 3 takes none of them.

    ## Example
    ```python
    from tensorflow import keras

    x = keras.Input((784,))
    z = tfp.layers.MultivariateNormalTriL(2)(x)
    vae = keras.Model(x, z)
    ```

    ## Use instead
    ```python
    import tf_keras as keras

    x = keras.Input((784,))
    z = tfp.layers.MultivariateNormalTriL(2)(x)
    vae = keras.Model(x, z)
    ```
    """

    code = "KLB407"
    title = "A layer of TensorFlow Probability meets Keras 3"
    severity = Severity.ERROR
    only_keras_3 = True
    generations = (
        ("Keras 2, and tf_keras", "takes it"),
        (
            "Keras 3, which is tensorflow.keras since TensorFlow 2.16",
            "fails where the layer gets a tensor of the model, or the model gets the layer",
        ),
    )
    why = "tfp.layers are made of tf_keras, the Keras 2 of TensorFlow Probability."

    def check(self, program: Program) -> Iterator[Finding]:
        """Every layer and regularizer that is made."""
        models = any(is_model_name(name) for call in program.calls for name in call.names)
        if not models and not any(made.is_model for made in program.classes):
            return
        seen: set[ast.AST] = set()
        for call in program.calls:
            made = [name for name in call.names if name.startswith(_LAYERS)]
            if made and not call.guarded and call.node not in seen:
                seen.add(call.node)
                name = dotted(call.node.func, made[0])
                yield self.finding(
                    call.node,
                    f"{name} belongs to Keras 2, and the model of this script to Keras 3.",
                    "Import Keras as tf_keras throughout, to stay with TensorFlow Probability; or "
                    "write the sampling and the KL term as a layer of Keras 3.",
                )
