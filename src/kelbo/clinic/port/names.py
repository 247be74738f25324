"""The names in Keras 3 of what Keras 2 and TensorFlow have, and the places."""

from collections.abc import Mapping

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.rules.backend_functions import SAME
from kelbo.clinic.doctor.rules.keras_2_imports import GONE

_OTHERS = {
    "add": "add",
    "clip_by_value": "clip",
    "concat": "concatenate",
    "constant": "convert_to_tensor",
    "convert_to_tensor": "convert_to_tensor",
    "divide": "divide",
    "gather": "take",
    "int_shape": "shape",
    "matmul": "matmul",
    "multiply": "multiply",
    "permute_dimensions": "transpose",
    "pow": "power",
    "reduce_max": "max",
    "reduce_mean": "mean",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_sum": "sum",
    "subtract": "subtract",
    "where": "where",
}
_TENSORFLOW = ("tensorflow.math.", "tensorflow.nn.", "tensorflow.")
# The functions of keras.random take shape, mean or minval, stddev or maxval, dtype and seed, in the
# order of keras.backend and of TensorFlow.

SEEDS = frozenset(
    {
        "tensorflow.random.set_random_seed",
        "tensorflow.random.set_seed",
        "tensorflow.set_random_seed",
    }
)
EAGER = frozenset(
    {
        "tensorflow.disable_eager_execution",
        "tensorflow.disable_v2_behavior",
        "tensorflow.enable_eager_execution",
        "tensorflow.enable_v2_behavior",
        "tensorflow.config.run_functions_eagerly",
        "tensorflow.config.experimental_run_functions_eagerly",
        "tensorflow.python.framework.ops.disable_eager_execution",
    }
)


def today(name: str, ops: str) -> str | None:
    """How Keras 3 spells a function, such as `ops.square`; None if it has none of its kind.

    Args:
        name: its canonical name, such as `keras.backend.square` or `tensorflow.reduce_mean`.
        ops: how the script spells `keras.ops`.
    """
    last = name.rpartition(".")[2]
    if library.noise(name) and not name.startswith("keras.random."):
        of_keras = name.startswith(("keras.", "tensorflow."))
        return f"keras.random.{last.removeprefix('random_')}" if of_keras else None
    if name in SEEDS:
        return "keras.utils.set_random_seed"
    if name not in [prefix + last for prefix in ("keras.backend.", *_TENSORFLOW)]:
        return None
    if last in SAME:
        return f"{ops}.{last}"
    return f"{ops}.{_OTHERS[last]}" if last in _OTHERS else None


_SHORT = {
    "KLD": "kl_divergence",
    "MAE": "mean_absolute_error",
    "MAPE": "mean_absolute_percentage_error",
    "MSE": "mean_squared_error",
    "MSLE": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
# Old or short names that these modules no longer have, and today's names.
_MEMBERS = {
    "keras.layers": {
        "AtrousConvolution2D": "Conv2D",
        "Convolution1D": "Conv1D",
        "Convolution2D": "Conv2D",
        "Convolution3D": "Conv3D",
        "Deconvolution2D": "Conv2DTranspose",
        "SeparableConvolution2D": "SeparableConv2D",
    },
    "keras.losses": _SHORT,
    "keras.metrics": _SHORT,
    "keras.optimizers": {name.lower(): name for name in library.OPTIMIZERS},
}
# Modules whose members moved and kept their names; those of `keras.engine` are in `keras`.
_NOT_ELSEWHERE = {"keras.experimental", "keras.wrappers.scikit_learn"}
_ELSEWHERE = {
    "keras.engine": "keras",
    "keras.optimizers.legacy": "keras.optimizers",
    **{
        module: place
        for module, place in GONE.items()
        if module.rpartition(".")[2].islower() and " " not in place and module not in _NOT_ELSEWHERE
    },
}
# All that these modules of `keras` have; only `tensorflow.keras` has the rest.
_PREPROCESSING = {
    "keras.preprocessing.image": {
        "array_to_img", "img_to_array", "load_img", "save_img", "smart_resize",
    },
    "keras.preprocessing.sequence": {"pad_sequences"},
    "keras.preprocessing.text": set(),
}  # fmt: skip


def place(name: str) -> str | None:
    """Where Keras 3 has something: `keras.layers.core.Dense` is `keras.layers.Dense`.

    Args:
        name: its canonical name in Keras 2.

    Returns:
        Its name today, in `tensorflow.keras` if `keras` does not have it; None if neither does.
    """
    module, _, last = name.rpartition(".")
    above = _prefix(name, _ELSEWHERE)
    if above is not None and above != name:
        return place(f"{_ELSEWHERE[above]}.{last}")
    if above is not None or _prefix(name, GONE) is not None:
        return None
    if name == "keras.preprocessing.text" or last not in _PREPROCESSING.get(module, {last}):
        return f"tensorflow.{name}"
    return f"{module}.{_MEMBERS.get(module, {}).get(last, last)}" if module else name


def _prefix(name: str, names: Mapping[str, str]) -> str | None:
    """The longest of some names that a name is or lies below; None if none is."""
    parts = name.split(".")
    heads = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((head for head in heads if head in names), None)
