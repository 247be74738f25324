"""Every way to write a binary cross-entropy is found, with what goes into it."""

import ast

import pytest

from kelbo.clinic.doctor.cross_entropy import cross_entropies
from kelbo.clinic.doctor.interpreter import read

HEAD = """\
import keras
import tensorflow as tf
from keras import layers, losses, ops
from keras.losses import BinaryCrossentropy

image = keras.Input((4,))
linear = layers.Dense(4)(image)
probabilities = layers.Dense(4, activation="sigmoid")(image)
model = keras.Model(image, linear)

class Own(keras.Model):
    def call(self, x):
        return layers.Dense(4, "tanh")(x)
"""


def found(code):
    return [
        (entropy.activation, entropy.from_logits)
        for entropy in cross_entropies(read(ast.parse(f"{HEAD}{code}\n")))
    ]


@pytest.mark.parametrize(
    ("code", "activation", "from_logits"),
    [
        ("losses.binary_crossentropy(image, linear)", "linear", False),
        ("losses.binary_crossentropy(y_true=image, y_pred=probabilities)", "sigmoid", False),
        ("keras.backend.binary_crossentropy(image, linear, True)", "linear", True),
        ("ops.binary_crossentropy(image, ops.sigmoid(linear), from_logits=x)", "sigmoid", None),
        ("BinaryCrossentropy(from_logits=True)(image, tf.tanh(linear))", "tanh", True),
        ("tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=linear)", "linear", True),
        ("losses.binary_crossentropy(x, layers.Reshape((2, 2))(linear))", "linear", False),
        ("losses.binary_crossentropy(x, layers.BatchNormalization()(linear))", None, False),
        ("losses.binary_crossentropy(x, linear + 1)", None, False),
        ("losses.binary_crossentropy(x, linear if x else probabilities)", None, False),
        ("losses.binary_crossentropy(x, layers.Dense(4, activation=x)(image))", None, False),
        ("model.compile('adam', 'binary_crossentropy')", "linear", False),
        ("model.compile(loss=losses.binary_crossentropy)", "linear", False),
        (
            "def f(t, p): return losses.binary_crossentropy(t, p)\nmodel.compile(loss=f)",
            "linear",
            False,
        ),
        ("model.compile(loss=[BinaryCrossentropy(True)])", "linear", True),
        ("keras.Sequential([layers.Dense(1)]).compile(loss='bce')", "linear", False),
        ("keras.Sequential(x).compile(loss='bce')", None, False),
        ("m = keras.Sequential()\nif x: m.add(linear)\nm.compile(loss='bce')", None, False),
        ("Own().compile(loss='bce')", "tanh", False),
        ("keras.Model(image, {'a': linear}).compile(loss={'a': 'bce'})", "linear", False),
    ],
)
def test_what_goes_into_it(code, activation, from_logits):
    assert found(code) == [(activation, from_logits)]


@pytest.mark.parametrize(
    "code",
    [
        "losses.categorical_crossentropy(image, linear)",
        "model.compile(loss='mse')",
        "model.compile(loss='bce' if x else 'mse')",
        "keras.Model(image, [linear, linear]).compile(loss=['mse', 'mae'])",
    ],
)
def test_other_losses_are_none(code):
    assert found(code) == []
