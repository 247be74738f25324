"""The last step of a network is judged by what it does, whatever it is called."""

import math

import keras
import pytest
from keras import layers, ops

from kelbo.networks import Conv2DTranspose, conv_decoder, mlp_decoder
from kelbo.networks.output_range import output_range

INFINITE = math.inf
REALS = (-INFINITE, INFINITE)


@keras.saving.register_keras_serializable("kelbo-tests")
class Own(layers.Dense):
    """A layer with an activation that is not its last step."""

    def call(self, inputs):
        return inputs + self.activation(super().call(inputs))


def of(*steps, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *steps])


def functional(make):
    z = keras.Input((4,))
    return keras.Model(z, make(layers.Dense(6)(z)))


def branches(first, second):
    z = keras.Input((4,))
    return keras.Model(
        z, layers.Concatenate()([layers.Dense(2, first)(z), layers.Dense(2, second)(z)])
    )


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: of(layers.Dense(6)), REALS),
        (lambda: of(layers.Dense(6, "leaky_relu")), REALS),
        (lambda: of(layers.Dense(6), layers.LeakyReLU(0.01)), REALS),
        (lambda: of(layers.Dense(6), layers.PReLU()), REALS),
        (lambda: of(layers.Dense(6, "sigmoid"), layers.BatchNormalization()), REALS),
        (lambda: of(Own(4, "relu")), REALS),
        (lambda: of(layers.Dense(6, ops.arcsinh)), REALS),
        (lambda: of(layers.Dense(6, "tanh")), (-1, 1)),
        (lambda: of(layers.Dense(6, "softmax")), (0, 1)),
        (lambda: of(layers.Dense(6, "hard_sigmoid")), (0, 1)),
        (lambda: of(layers.Dense(6, "relu6")), (0, 6)),
        (lambda: of(layers.Dense(6, "softplus")), (0, INFINITE)),
        (lambda: of(layers.Dense(6, "exponential")), (0, INFINITE)),
        (lambda: of(layers.Dense(6, "elu")), (-1, INFINITE)),
        (lambda: of(layers.Dense(6, "gelu")), (-0.17, INFINITE)),
        (lambda: of(layers.Dense(6, "log_sigmoid")), (-INFINITE, 0)),
        (lambda: of(layers.Dense(6, lambda x: 3 * ops.sin(x))), (-3, 3)),
        (lambda: of(layers.Dense(6), layers.Softmax()), (0, 1)),
        (lambda: of(layers.Dense(6), layers.ReLU()), (0, INFINITE)),
        (lambda: of(layers.Dense(6), layers.Activation("sigmoid"), layers.Reshape((3, 2))), (0, 1)),
        (
            lambda: of(layers.Dense(6, "sigmoid"), layers.Dropout(0.5), layers.RepeatVector(3)),
            (0, 1),
        ),
        (lambda: of(layers.Dense(6, "sigmoid"), layers.Rescaling(20.0, -10.0)), (-10, 10)),
        (lambda: of(of(layers.Dense(6, "sigmoid"))), (0, 1)),
        (lambda: of(of(layers.Dense(6, "tanh")), layers.Flatten()), (-1, 1)),
        (lambda: of(layers.LSTM(3, return_sequences=True), shape=(5, 2)), (-1, 1)),
        (lambda: of(layers.TimeDistributed(layers.Dense(3, "sigmoid")), shape=(5, 2)), (0, 1)),
        (lambda: of(Conv2DTranspose(1, 3, 2, activation="sigmoid"), shape=(4, 4, 2)), (0, 1)),
        (lambda: functional(ops.tanh), (-1, 1)),
        (lambda: functional(lambda x: ops.clip(x, -6.0, 2.0)), (-6, 2)),
        (lambda: functional(lambda x: 5.0 * ops.tanh(x) - 2.0), (-7, 3)),
        (lambda: functional(lambda x: x + ops.tanh(x)), REALS),
        (lambda: functional(lambda x: ops.split(ops.sigmoid(x), 2, axis=-1)[1]), (0, 1)),
        (lambda: branches("sigmoid", "tanh"), (-1, 1)),
        (lambda: branches("sigmoid", None), REALS),
        (lambda: conv_decoder((5, 4, 1), 3), REALS),
        (lambda: mlp_decoder((5, 4, 1), 3), REALS),
    ],
)
def test_the_range_of_the_last_step_is_measured(network, expected):
    found = output_range(network())
    assert (found.low, found.high) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("activation", ["gelu", "selu"])
def test_a_range_that_has_no_end_on_one_side_says_so(activation):
    found = output_range(of(layers.Dense(3, activation, name="last")))
    assert found.high == INFINITE
    assert str(found).startswith("no value below -")
    assert found.step == f"the activation {activation} of the layer 'last'"
    assert found.cure == "Give the layer 'last' no activation (activation=None)."
    assert not found.contains(-4.0, 4.0)
    assert found.contains(0.0, 1e9)


@pytest.mark.parametrize(
    ("network", "step"),
    [
        (
            lambda: of(layers.Dense(3), layers.Softmax(name="last"), layers.Flatten()),
            "'last' (Softmax)",
        ),
        (lambda: of(layers.Dense(3), layers.Activation("tanh", name="last")), "'last' (tanh)"),
        (lambda: functional(ops.tanh), "the operation Tanh"),
    ],
)
def test_the_step_that_bounds_is_named_and_not_what_moves_its_values(network, step):
    assert step in output_range(network()).step


def test_each_output_is_judged_by_itself():
    z = keras.Input((4,))
    network = keras.Model(z, [layers.Dense(2, "tanh")(z), layers.Dense(2)(z)])
    assert output_range(network, 0).high == 1.0
    assert output_range(network, 1).high == INFINITE


class Fails(layers.Layer):
    tried = False

    def call(self, inputs):
        if self.tried:
            raise RuntimeError
        return inputs


class Unknown(keras.Model):
    def call(self, inputs):
        return ops.tanh(inputs)


@pytest.mark.parametrize("step", [Fails, Unknown])
def test_what_cannot_be_tried_is_not_judged(step):
    step = step()
    network = functional(step)
    step.tried = True
    found = output_range(network)
    assert (found.low, found.high) == REALS
