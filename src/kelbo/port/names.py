"""What the functions of `keras.backend` and of TensorFlow are called in Keras 3."""

from kelbo.doctor import library

# What keras.ops has under the same name.
_SAME = frozenset(
    """
    abs all any arange argmax argmin binary_crossentropy cast categorical_crossentropy clip
    concatenate cos cumprod cumsum elu equal exp expand_dims eye greater greater_equal hard_sigmoid
    less less_equal log logsumexp max maximum mean min minimum not_equal one_hot ones ones_like
    prod relu reshape round shape sigmoid sign sin softmax softplus softsign sqrt square squeeze
    stack std stop_gradient sum tanh tile transpose var zeros zeros_like
    """.split()
)
_OTHERS = {
    "add": "add",
    "clip_by_value": "clip",
    "concat": "concatenate",
    "constant": "convert_to_tensor",
    "convert_to_tensor": "convert_to_tensor",
    "divide": "divide",
    "gather": "take",
    "int_shape": "shape",
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
_SETTINGS = {
    "epsilon",
    "floatx",
    "image_data_format",
    "set_floatx",
    "set_epsilon",
    "set_image_data_format",
}
_SCIENCE = ("tensorflow.math.", "tensorflow.nn.", "tensorflow.")
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
    if name == f"keras.backend.{last}":
        if last in _SETTINGS:
            return f"keras.config.{last}"
        if last == "clear_session":
            return "keras.utils.clear_session"
    elif name not in [prefix + last for prefix in _SCIENCE]:
        return None
    if last in _SAME:
        return f"{ops}.{last}"
    return f"{ops}.{_OTHERS[last]}" if last in _OTHERS else None
