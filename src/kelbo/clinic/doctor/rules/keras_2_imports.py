"""KLB403."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.library import OPTIMIZERS
from kelbo.clinic.doctor.program import LEGACY, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Known, Value, options
from kelbo.clinic.doctor.words import in_words

# What Keras 2 has and Keras 3 does not, under `keras` and under `tensorflow.keras`, and what
# replaces it.
GONE = {
    "keras.callbacks.experimental": "keras.callbacks",
    "keras.engine": "keras.layers and keras.models",
    "keras.estimator": "a model's fit",
    "keras.experimental": "keras.layers",
    "keras.layers.AbstractRNNCell": "keras.layers.Layer",
    "keras.layers.CuDNNGRU": "keras.layers.GRU",
    "keras.layers.CuDNNLSTM": "keras.layers.LSTM",
    "keras.layers.DenseFeatures": "keras.utils.FeatureSpace",
    "keras.layers.Highway": "a class of your own made of keras.layers.Dense",
    "keras.layers.LocallyConnected1D": "keras.layers.Conv1D",
    "keras.layers.LocallyConnected2D": "keras.layers.Conv2D",
    "keras.layers.MaxoutDense": "keras.layers.Dense, keras.layers.Reshape and keras.ops.max",
    "keras.layers.Merge": "keras.layers.Concatenate, keras.layers.Add and their like",
    "keras.layers.advanced_activations": "keras.layers",
    "keras.layers.convolutional": "keras.layers",
    "keras.layers.convolutional_recurrent": "keras.layers",
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
    "keras.models.model_from_yaml": "keras.models.model_from_json, for what to_json has written",
    "keras.objectives": "keras.losses",
    "keras.optimizers.experimental": "keras.optimizers",
    "keras.utils.data_utils": "keras.utils",
    "keras.utils.generic_utils": "keras.utils and keras.saving",
    "keras.utils.layer_utils": "keras.utils",
    "keras.utils.multi_gpu_model": "tf.distribute.MirroredStrategy or keras.distribution",
    "keras.utils.np_utils": "keras.utils",
    "keras.utils.print_summary": "the method summary of the model",
    "keras.utils.vis_utils": "keras.utils",
    "keras.wrappers.scikit_learn": (
        "keras.wrappers.SKLearnClassifier and keras.wrappers.SKLearnRegressor, or SciKeras"
    ),
}
# What both have, but Keras 3 under another name.
RENAMED = {
    "keras.constraints.maxnorm": "keras.constraints.MaxNorm",
    "keras.constraints.nonneg": "keras.constraints.NonNeg",
    "keras.constraints.unitnorm": "keras.constraints.UnitNorm",
    "keras.initializers.normal": "keras.initializers.RandomNormal",
    "keras.initializers.one": "keras.initializers.Ones",
    "keras.initializers.uniform": "keras.initializers.RandomUniform",
    "keras.initializers.zero": "keras.initializers.Zeros",
    "keras.layers.AtrousConvolution1D": "keras.layers.Conv1D",
    "keras.layers.AtrousConvolution2D": "keras.layers.Conv2D",
    "keras.layers.Deconvolution2D": "keras.layers.Conv2DTranspose",
    "keras.layers.Deconvolution3D": "keras.layers.Conv3DTranspose",
    **{f"keras.optimizers.{name.lower()}": f"keras.optimizers.{name}" for name in OPTIMIZERS},
}
_ERRORS = {
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_SHORT = _ERRORS | {short.upper(): name for short, name in _ERRORS.items()}
_SHORT |= dict.fromkeys(("KLD", "kld", "kullback_leibler_divergence"), "kl_divergence")
_SHORT["logcosh"] = "log_cosh"
# What only `tensorflow.keras` still has, and what there is in `keras`.
ONLY_IN_TENSORFLOW = {
    "keras.layers.ThresholdedReLU": "keras.layers.ReLU with a threshold",
    "keras.preprocessing.image.ImageDataGenerator": (
        "keras.utils.image_dataset_from_directory; that of tensorflow.keras is still there"
    ),
    "keras.preprocessing.sequence.TimeseriesGenerator": (
        "keras.utils.timeseries_dataset_from_array"
    ),
    "keras.preprocessing.text": (
        "keras.layers.TextVectorization; that of tensorflow.keras is still there"
    ),
    **{
        f"keras.{module}.{short}": f"keras.{module}.{name}"
        for module in ("losses", "metrics")
        for short, name in _SHORT.items()
    },
}
# The reverse: what only `keras` has; `tensorflow.keras` has it under a short name.
ONLY_IN_KERAS = {
    f"keras.{module}.{name}": f"tensorflow.keras.{module}.{short}, or keras.{module}.{name}"
    for module in ("losses", "metrics")
    for short, name in (_ERRORS | {"kld": "kl_divergence", "logcosh": "log_cosh"}).items()
}
_OF_KERAS = GONE | RENAMED | ONLY_IN_TENSORFLOW
_OF_TENSORFLOW = GONE | RENAMED | ONLY_IN_KERAS
# What can be imported from Keras 3 but not used.
_LEGACY_OPTIMIZERS = "keras.optimizers.legacy."
_OTHER_KERAS = ("tf_keras", "tensorflow.python", "tensorflow.compat.v1", "keras.src", "keras.api")


class Keras2Imports(Rule):
    """The script takes something from Keras that only Keras 2 has.

    ## What it does
    Reports modules, classes and functions of Keras 2 that Keras 3 does not have, and calls of
    legacy optimizers, under `keras` and under `tensorflow.keras`. Code under a check of versions is
    left alone; so is `tensorflow.keras` if the script sets `TF_USE_LEGACY_KERAS`, and everything if
    it imports `tf_keras`.

    ## Why is this bad
    Since TensorFlow 2.16 `tensorflow.keras` is Keras 3 too, whatever is installed beside it. The
    script stops with ModuleNotFoundError, ImportError or AttributeError.

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
    title = "A name of Keras 2 is gone"
    severity = Severity.ERROR
    generations = (
        ("Keras 2", "has it, or had it in some release"),
        (
            "Keras 3, which is tensorflow.keras since TensorFlow 2.16",
            "the import or the call fails",
        ),
    )
    why = "Keras 3 has one public place for each thing, and the inner modules of Keras 2 are gone."

    def check(self, program: Program) -> Iterator[Finding]:
        """Every mention; what lies below a reported name is not reported again."""
        found: dict[ast.AST, dict[str, str]] = {}
        for reading in program.readings:
            imports = isinstance(reading.node, ast.Import | ast.ImportFrom)
            for value in _of_keras_3(reading.value, reading.guarded, program):
                table = _table(value)
                gone = _gone(value.name, table)
                if gone and (imports or value.name == gone):
                    spelled = value.spelled[: len(value.spelled) - len(value.name) + len(gone)]
                    found.setdefault(reading.node, {})[spelled] = table[gone]
        for call in program.calls:
            for value in _of_keras_3(call.function, call.guarded, program):
                if value.name.startswith(_LEGACY_OPTIMIZERS):
                    found.setdefault(call.node, {})[value.spelled] = "keras.optimizers"
        for node, instead in found.items():
            yield self._at(node, instead)

    def _at(self, node: ast.AST, instead: dict[str, str]) -> Finding:
        """A finding for the names that one import or one expression mentions."""
        names = [*instead]
        parts = "; ".join(f"in place of {name} there is {instead[name]}" for name in names)
        places = parts if len(names) > 1 else f"in its place there is {instead[names[0]]}"
        of_tensorflow = any(name.startswith("tensorflow") for name in names)
        return self.finding(
            node,
            f"{in_words(names)} {'is' if len(names) == 1 else 'are'} not in Keras 3.",
            f"{places[0].upper()}{places[1:]}. "
            + (
                f"Or install tf_keras and set {LEGACY}=1 before TensorFlow is imported, to stay "
                "with Keras 2."
                if of_tensorflow
                else "Or stay with Keras 2: import from tf_keras, or install keras<3 with the "
                "TensorFlow of its time."
            ),
        )


def _of_keras_3(value: Value, guarded: bool, program: Program) -> Iterator[Known]:
    """What a value takes from `keras` or `tensorflow.keras` where that is Keras 3."""
    for option in () if guarded or program.mentions_tf_keras else options(value):
        if isinstance(option, Known) and not option.spelled.startswith(_OTHER_KERAS):
            # The variable is TensorFlow's: `import keras` does not look at it.
            if option.spelled.startswith("keras") or not program.asks_for_keras_2:
                yield option


def _table(value: Known) -> dict[str, str]:
    """What is gone from the Keras that a name is taken from, and what replaces it."""
    return _OF_KERAS if value.spelled.startswith("keras") else _OF_TENSORFLOW


def _gone(name: str, table: dict[str, str]) -> str | None:
    """The entry of a table that a name is or lies below."""
    while name.startswith("keras.") and name not in table:
        name = name.rpartition(".")[0]
    return name if name in table else None
