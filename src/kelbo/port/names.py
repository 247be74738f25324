"""What the functions of `keras.backend` and of TensorFlow are called in Keras 3."""

from kelbo.doctor import library
from kelbo.doctor.rules.backend_functions import SAME

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
# keras.random has these with the arguments shape, mean or minval, stddev or maxval, dtype, seed,
# in the order of keras.backend and of TensorFlow.
_NOISE = {"normal": "keras.random.normal", "uniform": "keras.random.uniform"}

EAGER = frozenset(
    {
        "tensorflow.disable_eager_execution",
        "tensorflow.disable_v2_behavior",
        "tensorflow.enable_eager_execution",
        "tensorflow.config.run_functions_eagerly",
        "tensorflow.config.experimental_run_functions_eagerly",
        "tensorflow.python.framework.ops.disable_eager_execution",
    }
)


def today(name: str, ops: str) -> str | None:
    """How Keras 3 spells a function, as `ops.square`; None where it has none of its kind.

    Args:
        name: its canonical name, as `keras.backend.square` or `tensorflow.reduce_mean`.
        ops: how the script reaches `keras.ops`.
    """
    if (kind := library.noise(name)) is not None and not name.startswith("keras.random."):
        return _NOISE[kind] if name.startswith(("keras.", "tensorflow.")) else None
    if name == "tensorflow.random.set_seed":
        return "keras.utils.set_random_seed"
    last = name.rpartition(".")[2]
    if name not in [prefix + last for prefix in ("keras.backend.", *_TENSORFLOW)]:
        return None
    if last in SAME:
        return f"{ops}.{last}"
    return f"{ops}.{_OTHERS[last]}" if last in _OTHERS else None


# keras.losses and keras.metrics have these no more under their short names.
SHORT = {
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
