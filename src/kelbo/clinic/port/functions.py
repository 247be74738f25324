"""Adapts arguments of `keras.backend` and TensorFlow functions to `keras.ops`."""

import ast

import libcst as cst

from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import is_layer_name, known_names
from kelbo.clinic.port.edits import (
    Unportable,
    code_of,
    renamed,
    with_argument,
    with_arguments,
    without,
)
from kelbo.clinic.port.script import Script, argument

_RENAMED = {
    "input_tensor": "x",
    "keep_dims": "keepdims",
    "reduction_indices": "axis",
    "std": "stddev",
    "tensor": "x",
}
# New names of arguments for one function of today each.
_RENAMED_OF = {
    "clip": {
        "clip_value_max": "x_max",
        "clip_value_min": "x_min",
        "max_value": "x_max",
        "min_value": "x_min",
        "t": "x",
    },
    "concatenate": {"tensors": "xs", "values": "xs"},
    "one_hot": {"depth": "num_classes", "indices": "x"},
    "reshape": {"shape": "newshape"},
    "take": {"params": "x", "reference": "x"},
    "transpose": {"a": "x", "pattern": "axes", "perm": "axes"},
}
# The arguments of today's functions, as far as the old functions had the like.
TAKEN = {
    name: arguments.split()
    for arguments, names in {
        "N M k dtype": "eye",
        "condition x1 x2": "where",
        "seed": "set_random_seed",
        "shape dtype": "ones zeros",
        "shape mean stddev dtype seed": "normal truncated_normal",
        "shape minval maxval dtype seed": "uniform",
        "start stop step dtype": "arange",
        "target output from_logits": "binary_crossentropy",
        "target output from_logits axis": "categorical_crossentropy "
        "sparse_categorical_crossentropy",
        "variable": "stop_gradient",
        "x": "abs cos dtype exp log ndim relu shape sigmoid sign sin softplus softsign sqrt square "
        "tanh",
        "x alpha": "elu",
        "x axes": "transpose",
        "x axis": "expand_dims softmax squeeze stack",
        "x axis dtype": "cumprod cumsum",
        "x axis keepdims": "all any argmax argmin logsumexp max mean min prod std sum var",
        "x decimals": "round",
        "x dtype": "cast convert_to_tensor ones_like zeros_like",
        "x indices axis": "take",
        "x newshape": "reshape",
        "x num_classes axis dtype": "one_hot",
        "x repeats": "tile",
        "x x_min x_max": "clip",
        "x1 x2": "add divide equal greater greater_equal less less_equal matmul maximum minimum "
        "multiply not_equal power subtract",
        "xs axis": "concatenate",
    }.items()
    for name in names.split()
}
# What Keras 1 called the positions of the channels.
ORDERINGS = {"tf": "channels_last", "th": "channels_first"}
_OF_TENSORFLOW = ("tensorflow.", "tensorflow.math.", "tensorflow.nn.")
# Activations that Keras calls as TensorFlow does.
_ACTIVATIONS = frozenset(
    "elu gelu leaky_relu relu relu6 selu sigmoid silu softmax softplus softsign swish tanh".split()
)
_REDUCTIONS = {"all", "any", "logsumexp", "max", "mean", "min", "prod", "std", "sum", "var"}
# Default axes that are others today; the position of axis is 1, except for a gather.
_AXES = {
    "keras.backend.argmax": -1,
    "keras.backend.argmin": -1,
    "keras.backend.concatenate": -1,
    "keras.backend.cumprod": 0,
    "keras.backend.cumsum": 0,
    "keras.backend.expand_dims": -1,
    "keras.backend.gather": 0,
    "tensorflow.argmax": 0,
    "tensorflow.argmin": 0,
    "tensorflow.cumsum": 0,
    "tensorflow.gather": 0,
    "tensorflow.math.argmax": 0,
    "tensorflow.math.argmin": 0,
    "tensorflow.math.cumsum": 0,
}


def activation_of(script: Script, node: ast.AST, name: str) -> str | None:
    """The activation that a layer is given as a TensorFlow function, as in `activation=tf.nn.relu`.

    Args:
        script: the script.
        node: where the function is named.
        name: its canonical name.

    Returns:
        Its name in Keras; None if it is no activation, or not an option of a layer.
    """
    last = name.rpartition(".")[2]
    if last not in _ACTIVATIONS or name not in [f"{module}{last}" for module in _OF_TENSORFLOW]:
        return None
    outer = script.parents[node]
    if isinstance(outer, ast.keyword):
        return last if (outer.arg or "").endswith("activation") else None
    names = known_names(script.program.value(outer.func)) if isinstance(outer, ast.Call) else ()
    return last if any(map(is_layer_name, names)) else None


def unknown_arguments(call: Call, name: str | None) -> list[str]:
    """The arguments of a call that today's function, if there is one, does not take."""
    if name is None:
        return []
    last = name.rpartition(".")[2]
    names = _RENAMED | _RENAMED_OF.get(last, {})
    words = [keyword.arg for keyword in call.node.keywords if keyword.arg not in (None, "name")]
    more = [ast.unparse(given) for given in call.node.args[len(TAKEN[last]) :]]
    return more + [word for word in words if word and names.get(word, word) not in TAKEN[last]]


def adapt_arguments(script: Script, call: Call, before: str, name: str) -> None:
    """Adapt the arguments of a call to the function of today.

    Args:
        script: the script.
        call: the call.
        before: the function's canonical name.
        name: its name today.
    """
    last = name.rpartition(".")[2]
    if before == "keras.backend.int_shape":
        script.edits.change(call.node, _shape)
        return
    axis = _AXES.get(before)
    place = None if last == "take" else 1
    if argument(call.node, place, "axis") is not None:
        axis = None

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        made = renamed(cst.ensure_type(node, cst.Call), _RENAMED | _RENAMED_OF.get(last, {}))
        made = without(made, None, "name")  # the name of an operation in TensorFlow's graph
        arguments = [_with_axes(one, place, last) for place, one in enumerate(made.args)]
        made = with_arguments(made, arguments) if arguments else made
        return made if axis is None else with_argument(made, f"axis={axis}")

    script.edits.change(call.node, change)


def _shape(node: cst.BaseExpression) -> cst.Attribute:
    """`int_shape(x)` is `x.shape`."""
    value = cst.ensure_type(node, cst.Call).args[0].value
    alone = isinstance(value, cst.Name | cst.Attribute | cst.Call | cst.Subscript)
    if not alone and not value.lpar:
        value = value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.Attribute(value, cst.Name("shape"))


def _with_axes(given: cst.Arg, position: int, function: str) -> cst.Arg:
    """A list of axes as a tuple, since not every backend takes a list."""
    is_axis = given.keyword.value == "axis" if given.keyword else position == 1
    if is_axis and isinstance(given.value, cst.List) and function in _REDUCTIONS:
        code = code_of(cst.Tuple(given.value.elements))
        given = given.with_changes(value=cst.parse_expression(code))
    return given


def add_up(script: Script, call: Call) -> None:
    """Replace TensorFlow's sum of a list of tensors by Python's."""
    script.edits.respell(call.node.func, "sum")
    script.edits.change(call.node, lambda node: without(cst.ensure_type(node, cst.Call), 1, "name"))
    if not call.node.args:
        raise Unportable(call.node, "the list of tensors that add_n sums has a name.")


def flatten(script: Script, call: Call) -> None:
    """Make one axis of all axes."""
    script.edits.respell(call.node.func, f"{script.ops}.reshape")
    shape = "newshape=(-1,)" if call.node.keywords else "(-1,)"
    script.edits.change(
        call.node, lambda node: with_argument(cst.ensure_type(node, cst.Call), shape)
    )


def batch_flatten(script: Script, call: Call) -> None:
    """Make one axis of all axes but the first."""
    given = argument(call.node, 0, "x")
    if not isinstance(given, ast.Name | ast.Attribute):
        raise Unportable(call.node, f"Keras 3 has no {script.code(call.node.func)}.")
    script.edits.respell(call.node.func, f"{script.ops}.reshape")
    rows = f"({script.ops}.shape({script.code(given)})[0], -1)"
    shape = f"newshape={rows}" if call.node.keywords else rows
    script.edits.change(
        call.node, lambda node: with_argument(cst.ensure_type(node, cst.Call), shape)
    )


def image_ordering(script: Script, call: Call) -> None:
    """Translate `K.image_dim_ordering() == "th"` of Keras 1, which asks for the data format."""
    comparison = script.parents[call.node]
    others = comparison.comparators if isinstance(comparison, ast.Compare) else []
    (other,) = others if len(others) == 1 else (None,)
    ordering = other.value if isinstance(other, ast.Constant) else None
    if other is None or ordering not in ORDERINGS:
        raise Unportable(call.node, f"Keras 3 has no {script.code(call.node.func)}.")
    script.edits.respell(call.node.func, "keras.config.image_data_format")
    script.edits.respell(other, f'"{ORDERINGS[ordering]}"')


def cross_entropy(script: Script, call: Call) -> None:
    """Replace TensorFlow's cross-entropy with logits by Keras's with from_logits=True."""
    script.edits.respell(call.node.func, f"{script.ops}.binary_crossentropy")

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        made = cst.ensure_type(node, cst.Call)
        made = renamed(without(made, None, "name"), {"labels": "target", "logits": "output"})
        return with_argument(made, "from_logits=True")

    script.edits.change(call.node, change)
