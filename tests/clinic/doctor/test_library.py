"""What the doctor takes for granted of Keras is what Keras does."""

import keras
import pytest

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.values import UNKNOWN, Arguments, Constant, Items


def value(thing):
    return Items(tuple(map(value, thing))) if isinstance(thing, tuple) else Constant(thing)


def arguments(*positional, **keywords):
    named = tuple((name, value(thing)) for name, thing in keywords.items())
    return Arguments(tuple(map(value, positional)), named)


LAYERS = [
    ("Dense", (3,), {}, (None, 5)),
    ("Dense", (3,), {"activation": "relu"}, (None, 4, 5)),
    ("Flatten", (), {}, (None, 4, 5, 2)),
    ("Reshape", ((2, 10),), {}, (None, 20)),
    ("LeakyReLU", (), {}, (None, 4, 4, 3)),
    ("Dropout", (0.5,), {}, (None, 7)),
    ("GlobalAveragePooling2D", (), {}, (None, 4, 5, 3)),
    ("MaxPooling2D", (), {}, (None, 7, 8, 3)),
    ("AveragePooling2D", (3,), {"strides": 2, "padding": "same"}, (None, 7, 8, 3)),
    ("MaxPooling2D", (2, 2, "same"), {}, (None, 7, 8, 3)),
    ("UpSampling2D", ((2, 3),), {}, (None, 7, 8, 3)),
    ("Conv2D", (6, 3), {"data_format": "channels_last"}, (None, 9, 10, 3)),
    *(
        (name, (6, kernel), {"strides": strides, "padding": padding}, (None, 9, 10, 3))
        for name in ("Conv2D", "Conv2DTranspose")
        for kernel in (1, 3, (2, 4))
        for strides in (1, 2, (1, 3))
        for padding in ("same", "valid")
    ),
]


@pytest.mark.parametrize(("name", "given", "named", "shape"), LAYERS)
def test_shapes_are_those_of_keras(name, given, named, shape):
    expected = getattr(keras.layers, name)(*given, **named).compute_output_shape(shape)
    found = library.output_shape(f"keras.layers.{name}", arguments(*given, **named), shape)
    assert found == tuple(expected)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Conv2D", arguments(6, 3, data_format="channels_first")),
        ("Conv2D", arguments(6, 3, dilation_rate=2)),
        ("Conv2D", Arguments((Constant(6), Constant(3)), more=True)),
        ("Conv2D", Arguments((Constant(6), Constant(3)), (("padding", UNKNOWN),))),
        ("Conv2DTranspose", arguments(6, 3, strides=2, output_padding=1)),
        ("GlobalAveragePooling2D", arguments(keepdims=True)),
    ],
)
def test_a_shape_that_is_not_worked_out_is_not_guessed(name, given):
    assert library.output_shape(f"keras.layers.{name}", given, (None, 9, 10, 3)) is None


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("tensorflow.keras.layers.Dense", "keras.layers.Dense"),
        ("tensorflow.compat.v1.keras.backend.mean", "keras.backend.mean"),
        ("tf_keras.Model", "keras.Model"),
        ("tensorflow.compat.v1.disable_eager_execution", "tensorflow.disable_eager_execution"),
        ("tensorflow.kerasic", "tensorflow.kerasic"),
        ("keras", "keras"),
    ],
)
def test_a_thing_has_one_name(spelled, name):
    assert library.canonical(spelled) == name


def test_reductions_and_broadcasts_have_the_shapes_of_numpy():
    assert library.reduced((None, 4, 5), (-1,), False) == (None, 4)
    assert library.reduced((None, 4, 5), (1, 2), True) == (None, 1, 1)
    assert library.reduced((None, 4, 5), None, False) == ()
    assert library.reduced(None, None, False) == ()
    assert library.broadcast((None, 4, 5), (5,)) == (None, 4, 5)
    assert library.broadcast((None, 1), ()) == (None, 1)
    assert library.broadcast((None, 4), (3,)) is None
    assert library.volume((None, 4, 5)) == 20
    assert library.volume(((None, 4, 5),)) == 20
