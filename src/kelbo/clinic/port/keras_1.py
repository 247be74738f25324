"""Layers as Keras 1 writes them: `Convolution2D(32, 3, 3, border_mode="same")`.

Keras 2.0 to 2.3 still accepted and translated them (keras/legacy/interfaces.py in its releases);
this is the same translation.
"""

import ast
from collections.abc import Sequence

import libcst as cst

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.rules.gone_arguments import OF_WEIGHTS
from kelbo.clinic.doctor.values import Constant, Items, Known, options
from kelbo.clinic.doctor.words import in_words
from kelbo.clinic.port.edits import Unportable, code_of, renamed, with_arguments, without
from kelbo.clinic.port.functions import ORDERINGS
from kelbo.clinic.port.names import place
from kelbo.clinic.port.script import Script

_IMAGES = {"border_mode": "padding", "dim_ordering": "data_format"}
_CONVOLUTION = OF_WEIGHTS | _IMAGES | {"nb_filter": "filters", "subsample": "strides"}
_POOLING = {"border_mode": "padding", "pool_length": "pool_size", "stride": "strides"}
_RECURRENT = {
    "U_regularizer": "recurrent_regularizer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "output_dim": "units",
}
# By today's names of the layers.
_WORDS = {
    "AveragePooling1D": _POOLING,
    "AveragePooling2D": _IMAGES,
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "Conv1D": _CONVOLUTION | {"filter_length": "kernel_size", "subsample_length": "strides"},
    "Conv2D": _CONVOLUTION | {"atrous_rate": "dilation_rate"},
    "Conv2DTranspose": _CONVOLUTION,
    "Conv3D": _CONVOLUTION,
    "Dense": OF_WEIGHTS | {"output_dim": "units"},
    "Dropout": {"p": "rate"},
    "Embedding": {
        "W_constraint": "embeddings_constraint",
        "W_regularizer": "embeddings_regularizer",
        "init": "embeddings_initializer",
    },
    "GRU": _RECURRENT,
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "LSTM": _RECURRENT,
    "MaxPooling1D": _POOLING,
    "MaxPooling2D": _IMAGES,
    "SimpleRNN": _RECURRENT,
    "UpSampling1D": {"length": "size"},
    "UpSampling2D": {"dim_ordering": "data_format"},
    "ZeroPadding2D": {"dim_ordering": "data_format"},
}
# The names of a kernel's lengths, where each direction has an argument of its own.
_KERNELS = {
    "Conv2D": ("nb_row", "nb_col"),
    "Conv2DTranspose": ("nb_row", "nb_col"),
    "Conv3D": ("kernel_dim1", "kernel_dim2", "kernel_dim3"),
}
_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
# Options that change no number: how a recurrent layer computes, and today's defaults.
_IDLE = {
    "consume_less": ("cpu", "gpu", "mem"),
    "dim_ordering": ("default",),
    "forget_bias_init": ("one",),
    "mode": (0,),
}
# Options that these layers no longer take, although other layers do.
_GONE = {
    "BatchNormalization": ("mode", "weights"),
    "Embedding": ("dropout",),
    "GRU": ("weights",),
    "LSTM": ("forget_bias_init", "weights"),
    "SimpleRNN": ("weights",),
}


def respell_keras_1(script: Script, call: Call, name: str) -> None:
    """Give a layer of Keras 1 today's options and values.

    Args:
        script: the script.
        call: the call of the layer's class.
        name: its canonical name in Keras 1 or 2.

    Raises:
        Unportable: Keras 3 has no such option, or a positional argument cannot be told.
    """
    layer = (place(name) or "").removeprefix("keras.layers.")
    if layer not in _WORDS:
        return
    node = call.node
    idle = [
        word
        for word, values in _IDLE.items()
        if call.arguments.get(None, word) in [Constant(value) for value in values]
    ]
    words = {keyword.arg for keyword in node.keywords if keyword.arg is not None} - {*idle}
    if gone := sorted(words.intersection(_GONE.get(layer, ("weights",)))):
        raise Unportable(node, f"{layer} takes no {in_words(gone)} in Keras 3.")
    ordering = library.text(call.arguments.get(None, "dim_ordering"))
    if "dim_ordering" in words and ordering not in ORDERINGS:
        raise Unportable(node, "its dim_ordering cannot be told.")
    lengths = _lengths(script, call, layer)
    if not lengths and not idle and not words & {*_WORDS[layer]}:
        return

    def change(layer_call: cst.BaseExpression) -> cst.BaseExpression:
        made = without(cst.ensure_type(layer_call, cst.Call), None, *idle)
        made = _with_kernel(made, lengths) if lengths else made
        made = _with_value(made, "dim_ordering", repr(ORDERINGS.get(ordering or "")))
        return renamed(made, _WORDS[layer])

    script.edits.change(node, change)


def _lengths(script: Script, call: Call, layer: str) -> tuple[str, ...]:
    """The names of a kernel's lengths if each is an argument of its own; else nothing."""
    node, names = call.node, _KERNELS.get(layer, ())
    words = {keyword.arg for keyword in node.keywords}
    given = node.args[1 : 1 + len(names)]
    if not names or len(given) + len(words.intersection(names)) < len(names):
        return ()
    old = any(
        isinstance(option, Known)
        and option.spelled.startswith("keras.")
        and option.name.rpartition(".")[2] != layer
        for option in options(call.function)
    )
    if not old and not words & {*_WORDS[layer], *names}:
        return ()  # a kernel and strides
    if any(isinstance(script.program.value(length), Items) for length in given):
        return ()
    most = 1 + len(names) + (layer == "Conv2DTranspose")  # it takes the shape of the output, too
    if len(node.args) > most or any(isinstance(one, ast.Starred) for one in node.args):
        raise Unportable(node, f"the positional arguments of {layer} cannot be told.")
    return names


def _with_kernel(call: cst.Call, names: Sequence[str]) -> cst.Call:
    """`Convolution2D(32, 3, 3)` with one kernel of (3, 3)."""
    places = [one for one in call.args if one.keyword is None]
    filters, lengths = places[:1], places[1 : 1 + len(names)]
    named = {one.keyword.value: one for one in call.args if one.keyword is not None}
    lengths += [named.pop(name) for name in names[len(lengths) :]]
    named.pop("output_shape", None)  # it follows from the rest, as in Keras 2
    kernel = cst.parse_expression(f"({', '.join(code_of(one.value) for one in lengths)})")
    size = cst.Arg(kernel) if filters else cst.Arg(kernel, cst.Name("kernel_size"), _EQUAL)
    size = size.with_changes(comma=places[-1].comma) if len(places) > 1 else size
    return with_arguments(call, [*filters, size, *named.values()])


def _with_value(call: cst.Call, word: str, value: str) -> cst.Call:
    """A call with another value for an argument of this name, if it has one."""
    return call.with_changes(
        args=[
            given.with_changes(value=cst.parse_expression(value))
            if given.keyword is not None and given.keyword.value == word
            else given
            for given in call.args
        ]
    )
