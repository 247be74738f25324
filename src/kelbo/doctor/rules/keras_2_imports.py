"""KLB403."""

import ast
from collections.abc import Iterator

from kelbo.doctor.program import LEGACY, Program
from kelbo.doctor.rule import Finding, Rule, Severity
from kelbo.doctor.values import Known, Value, options

# What Keras 2 has and Keras 3 does not, under `keras` or under `tensorflow.keras`, and what there
# is instead.
GONE = {
    "keras.callbacks.experimental": "keras.callbacks",
    "keras.engine": "keras.layers and keras.models",
    "keras.estimator": "a model's fit",
    "keras.experimental": "keras.layers",
    "keras.layers.AbstractRNNCell": "keras.layers.Layer",
    "keras.layers.CuDNNGRU": "keras.layers.GRU",
    "keras.layers.CuDNNLSTM": "keras.layers.LSTM",
    "keras.layers.DenseFeatures": "keras.utils.FeatureSpace",
    "keras.layers.LocallyConnected1D": "keras.layers.Conv1D",
    "keras.layers.LocallyConnected2D": "keras.layers.Conv2D",
    "keras.layers.advanced_activations": "keras.layers",
    "keras.layers.convolutional": "keras.layers",
    "keras.layers.core": "keras.layers",
    "keras.layers.embeddings": "keras.layers",
    "keras.layers.experimental": "keras.layers",
    "keras.layers.local": "keras.layers",
    "keras.layers.merge": "keras.layers",
    "keras.layers.noise": "keras.layers",
    "keras.layers.normalization": "keras.layers",
    "keras.layers.pooling": "keras.layers",
    "keras.layers.recurrent": "keras.layers",
    "keras.layers.wrappers": "keras.layers",
    "keras.mixed_precision.experimental": "keras.mixed_precision",
    "keras.objectives": "keras.losses",
    "keras.optimizers.experimental": "keras.optimizers",
    "keras.utils.generic_utils": "keras.utils and keras.saving",
    "keras.utils.layer_utils": "keras.utils",
    "keras.utils.multi_gpu_model": "tf.distribute.MirroredStrategy or keras.distribution",
    "keras.utils.np_utils": "keras.utils",
    "keras.utils.vis_utils": "keras.utils",
    "keras.wrappers.scikit_learn": "keras.wrappers",
}
# What can be imported from Keras 3 and not be used.
_LEGACY_OPTIMIZERS = "keras.optimizers.legacy."
_OTHER_KERAS = ("tf_keras", "tensorflow.python", "tensorflow.compat.v1", "keras.src", "keras.api")


class Keras2Imports(Rule):
    """The script takes something from Keras that only Keras 2 has.

    ## What it does
    Reports modules and classes of Keras 2 that Keras 3 does not have, and calls of legacy
    optimizers, under `keras` and under `tensorflow.keras`. What stands behind a look at the
    version, and a script that asks for `TF_USE_LEGACY_KERAS`, is left alone.

    ## Why is this bad
    Since TensorFlow 2.16 `tensorflow.keras` is Keras 3 too, whatever is installed beside it:
    ModuleNotFoundError, ImportError or AttributeError.

    ## Example
    ```python
    from tensorflow.keras.layers.experimental.preprocessing import Rescaling
    from keras.layers.core import Dense
    ```

    ## Use instead
    ```python
    from keras.layers import Dense, Rescaling
    ```
    """

    code = "KLB403"
    title = "A module of Keras 2 is gone"
    severity = Severity.ERROR
    only_keras_3 = True
    generations = (
        ("Keras 2", "has it, or had it in some release"),
        (
            "Keras 3, which is tensorflow.keras since TensorFlow 2.16",
            "the import or the call fails",
        ),
    )
    why = "Keras 3 has one public place for each thing, and the inner modules of Keras 2 are gone."

    def check(self, program: Program) -> Iterator[Finding]:
        """Every mention, except of parts of what is reported."""
        for reading in program.readings:
            imports = isinstance(reading.node, ast.Import | ast.ImportFrom)
            for value in _of_this_keras(reading.value, reading.guarded):
                gone = _gone(value.name)
                if gone and (imports or value.name == gone):
                    spelled = value.spelled[: len(value.spelled) - len(value.name) + len(gone)]
                    yield self._at(reading.node, spelled, GONE[gone])
        for call in program.calls:
            for value in _of_this_keras(call.function, call.guarded):
                if value.name.startswith(_LEGACY_OPTIMIZERS):
                    yield self._at(call.node, value.spelled, "keras.optimizers")

    def _at(self, node: ast.AST, gone: str, instead: str) -> Finding:
        return self.finding(
            node,
            f"{gone} is not in Keras 3.",
            f"Take what you need from {instead}; or install tf_keras and set {LEGACY}=1 before "
            "TensorFlow is imported, to stay with Keras 2.",
        )


def _of_this_keras(value: Value, guarded: bool) -> Iterator[Known]:
    """What is taken from `keras` or `tensorflow.keras`, whatever Keras is installed."""
    for option in () if guarded else options(value):
        if isinstance(option, Known) and not option.spelled.startswith(_OTHER_KERAS):
            yield option


def _gone(name: str) -> str | None:
    """The entry of the table that a name is, or is a part of."""
    while name.startswith("keras.") and name not in GONE:
        name = name.rpartition(".")[0]
    return name if name in GONE else None
