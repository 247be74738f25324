"""A bias learns in bfloat16 what it learns in float32; all else is Keras's layer."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kelbo.networks import Conv2D, Conv2DTranspose, Dense
from tests.support import Gradient, data, noise, to_numpy

BF16 = "mixed_bfloat16"
KINDS = {
    "dense": (Dense, layers.Dense, (2,), (8,)),
    "conv": (Conv2D, layers.Conv2D, (2, 3), (7, 6, 4)),
}
kinds = pytest.mark.parametrize("ours, theirs, arguments, shape", KINDS.values(), ids=KINDS)


class SumOfOutputs(keras.Model):
    """Its loss is the sum of a layer's outputs: a bias has as many ones in its gradient's sum."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x, training=None):
        return self.layer(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.sum(ops.cast(y_pred, "float32"))


@pytest.mark.parametrize(
    ("layer", "shape", "terms"),
    [
        (lambda: Dense(1, dtype=BF16), (1001, 1), 1001),
        (lambda: Conv2D(1, 3, padding="same", dtype=BF16), (3, 19, 23, 1), 1311),
        (lambda: Conv2DTranspose(1, 3, padding="same", dtype=BF16), (3, 19, 23, 1), 1311),
        (lambda: Conv2DTranspose(1, 3, 2, padding="same", dtype=BF16), (3, 9, 11, 1), 1188),
    ],
    ids=["dense", "conv", "transposed", "strided"],
)
def test_the_gradient_of_a_bias_is_summed_in_float32(layer, shape, terms):
    model = SumOfOutputs(layer())
    model(np.zeros(shape, "float32"))
    model.compile(Gradient())
    model.train_on_batch(np.ones(shape, "float32"))
    # bfloat16 has no number between 1,000 and 1,004, and one by one it counts to 256.
    np.testing.assert_allclose(to_numpy(model.layer.bias), [terms], rtol=1e-6)


@kinds
def test_in_float32_the_numbers_are_keras_s(ours, theirs, arguments, shape):
    x = data(3, shape)
    one, other = ours(*arguments, activation="tanh"), theirs(*arguments, activation="tanh")
    one.build(x.shape)
    other.build(x.shape)
    one.set_weights([noise(w.shape) for w in one.weights])
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(to_numpy(one(x)), to_numpy(other(x)))


@kinds
def test_the_outputs_have_the_dtype_of_the_policy(ours, theirs, arguments, shape):
    layer = ours(*arguments, dtype=BF16)
    assert keras.backend.standardize_dtype(layer(data(3, shape)).dtype) == "bfloat16"
    assert layer(keras.Input(shape)).dtype == "bfloat16"
    assert {weight.dtype for weight in layer.weights} == {"float32"}


@kinds
def test_files_are_read_by_either_layer(ours, theirs, arguments, shape, tmp_path):
    def network(kind):
        inputs = keras.Input(shape)
        return keras.Model(inputs, kind(*arguments, name="only")(inputs))

    x = data(3, shape)
    mine = network(ours)
    mine.save_weights(tmp_path / "model.weights.h5")
    mine.save(tmp_path / "model.keras")
    keras_s = network(theirs)
    keras_s.load_weights(tmp_path / "model.weights.h5")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("only")) is ours
    for other in (keras_s, again):
        np.testing.assert_array_equal(to_numpy(mine(x)), to_numpy(other(x)))


@pytest.mark.parametrize("kind", [Dense, layers.Dense])
def test_a_policy_of_float8_is_keras_own_affair(kind):
    layer = kind(16, dtype="float8_from_mixed_bfloat16")
    assert layer(ops.ones((16, 16))).shape == (16, 16)
    assert layer.bias.dtype == "float32"
