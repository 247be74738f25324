"""A tensor is followed back through the models that handed it on, to the layer that made it."""

import ast

import pytest

from kelbo.clinic.doctor.interpreter import read
from kelbo.clinic.doctor.origins import Origins

HEAD = """\
import keras
from keras import layers, ops

class Sampling(layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        return mu + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mu))

class Gate(layers.Layer):
    def call(self, inputs, training=None):
        noise = keras.random.normal(ops.shape(inputs))
        return inputs + noise if training else inputs

image, code = keras.Input((4,)), keras.Input((2,))
mu, log_var = layers.Dense(2)(image), layers.Dense(3, activation="relu")(image)
z = Sampling()([mu, log_var])
encoder = keras.Model(image, [mu, log_var, z])
outer = keras.Model(image, encoder(image))
decoder = keras.Model(code, layers.Dense(4)(code))
"""


def followed(code):
    tree = ast.parse(f"{HEAD}{code}\n")
    program = read(tree)
    return Origins(program), program.value(tree.body[-1].value)


@pytest.mark.parametrize(
    ("code", "layer"),
    [
        ("log_var", "layers.Dense(3, activation='relu')(image)"),
        ("encoder(image)[1]", "layers.Dense(3, activation='relu')(image)"),
        ("outer.predict(x)[1]", "layers.Dense(3, activation='relu')(image)"),
        ("decoder(z)", "layers.Dense(4)(code)"),
        ("ops.split(log_var, 3, axis=-1)[0]", "layers.Dense(3, activation='relu')(image)"),
        ("log_var[:, :2]", "layers.Dense(3, activation='relu')(image)"),
        ("z", None),
        ("image", None),
        ("unknown(image)", None),
    ],
)
def test_the_layer_that_made_a_tensor(code, layer):
    origins, value = followed(code)
    call = origins.layer(value)
    assert (ast.unparse(call.node) if call else None) == layer


@pytest.mark.parametrize(
    ("code", "noisy"),
    [
        ("z", True),
        ("encoder.predict(x)[2]", True),
        ("outer(image)[2]", True),
        ("mu + keras.random.normal((2,))", True),
        ("mu", False),
        ("encoder.predict(x)[0]", False),
        ("decoder(z)", False),
        ("Gate()(mu)", False),
    ],
)
def test_the_noise_in_a_tensor(code, noisy):
    origins, value = followed(code)
    assert origins.is_noisy(value) == noisy


def test_the_parts_of_a_model():
    origins, model = followed("keras.Model(image, decoder(encoder(image)[2]))")
    names = sorted(getattr(part.of, "name", "") for part in origins.parts_of(model))
    dense = ["keras.layers.Dense"] * 3
    assert names == ["Sampling", *["keras.Model"] * 3, *dense]
