import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import layers, ops

from kelbo.networks import Conv2DTranspose, conv_transpose
from tests.support import Gradient, data, to_numpy

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is Keras's own layer")


class Side(layers.Layer):
    """A layer on an input that is a weight, so that a training step shows its gradient too."""

    def __init__(self, layer, x, kernel, bias):
        super().__init__()
        self.layer = layer
        self.x = self.add_weight(shape=x.shape, initializer="zeros")
        self.x.assign(x)
        layer.build(x.shape)
        layer.set_weights([kernel] if bias is None else [kernel, bias])

    def call(self, training=None):
        return self.layer(ops.convert_to_tensor(self.x), training=training)


class BothSides(keras.Model):
    """Keras's layer and ours with the same input, weights and upstream gradient."""

    def __init__(self, *sides):
        super().__init__()
        self.sides = list(sides)
        self.built = True

    def call(self, upstream, training=None):
        return [ops.cast(side(training=training), "float32") for side in self.sides]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return sum(ops.sum(ops.multiply(x, outputs)) for outputs in y_pred)


def compare(side, channels, filters, kernel_size, strides, tolerance, **kwargs):
    """The outputs and every gradient agree, relative to the largest value of each."""
    generator = np.random.default_rng(5)
    x, kernel, bias = (
        generator.standard_normal(shape).astype("float32")
        for shape in ((2, *side, channels), (*kernel_size, filters, channels), (filters,))
    )
    if not kwargs.get("use_bias", True):
        bias = None
    arguments = (filters, kernel_size, strides)
    sides = [
        Side(kind(*arguments, padding="same", **kwargs), x, kernel, bias)
        for kind in (layers.Conv2DTranspose, Conv2DTranspose)
    ]
    model = BothSides(*sides)
    expected, actual = model(np.zeros(1, "float32"), training=True)
    assert_close(actual, expected, tolerance)
    assert expected.shape == (2, strides[0] * side[0], strides[1] * side[1], filters)
    upstream = generator.standard_normal(expected.shape).astype("float32")
    # In a graph TensorFlow may update the input before the kernel's gradient has read it.
    model.compile(Gradient(), run_eagerly=keras.backend.backend() == "tensorflow")
    model.train_on_batch(upstream)
    theirs, ours = (side.trainable_weights for side in sides)
    assert len(theirs) == 2 + (bias is not None)
    for one, other in zip(theirs, ours, strict=True):
        assert one.dtype == other.dtype == "float32"
        assert_close(other, one, tolerance)


def assert_close(actual, expected, tolerance):
    actual, expected = to_numpy(actual), to_numpy(expected)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


small = st.integers(1, 3)
sizes = st.integers(1, 6)
strides = st.sampled_from([(2, 2), (2, 2), (2, 2), (1, 2), (3, 2)])


@settings(max_examples=6)
@given(st.tuples(small, small), small, small, st.tuples(sizes, sizes), strides, st.booleans())
@example((7, 5), 4, 3, (3, 3), (2, 2), True)
@example((3, 4), 2, 3, (4, 5), (2, 2), True)
@example((2, 3), 2, 1, (6, 2), (2, 2), False)
def test_outputs_and_gradients_are_those_of_keras_s_layer(
    side, channels, filters, kernel_size, strides, use_bias
):
    compare(side, channels, filters, kernel_size, strides, 1e-6, use_bias=use_bias)


@settings(max_examples=4)
@given(st.tuples(small, small), small, st.tuples(sizes, sizes), st.booleans())
@example((7, 5), 4, (3, 3), True)
@example((3, 4), 2, (4, 5), False)
def test_a_single_filter_without_a_stride_is_keras_s_layer(side, channels, kernel_size, use_bias):
    compare(side, channels, 1, kernel_size, (1, 1), 1e-6, use_bias=use_bias)


def test_it_obeys_its_activation():
    # The terms of the bias's gradient cancel in part.
    compare((2, 3), 2, 1, (3, 3), (1, 1), 1e-5, activation="tanh")
    compare((2, 3), 2, 2, (3, 3), (2, 2), 1e-6, activation="tanh")


def test_it_computes_in_the_precision_of_its_policy():
    compare((3, 3), 3, 2, (3, 3), (2, 2), 2e-2, dtype="mixed_bfloat16")
    layer = Conv2DTranspose(2, 3, 2, padding="same", dtype="mixed_bfloat16")
    outputs = layer(data(2, (3, 3, 3)), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"


def test_it_takes_images_of_unknown_size():
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, Conv2DTranspose(3, 3, 2, padding="same")(inputs))
    assert model.output_shape == (None, None, None, 3)
    for shape in ((4, 5, 2), (1, 2, 2)):
        assert model(data(2, shape), training=True).shape == (2, 2 * shape[0], 2 * shape[1], 3)


@pytest.fixture
def calls(monkeypatch):
    """How often the sub-pixel form was computed or traced."""
    calls = []
    form = conv_transpose._sub_pixel
    monkeypatch.setattr(
        conv_transpose, "_sub_pixel", lambda *arguments: calls.append(1) or form(*arguments)
    )
    return calls


def test_training_on_jax_takes_the_sub_pixel_form_and_nothing_else_does(calls):
    inputs = keras.Input((2, 3, 1))
    model = keras.Model(inputs, Conv2DTranspose(1, 3, 2, padding="same")(inputs))
    model.compile("sgd", "mse")
    model.evaluate(data(2, (2, 3, 1)), data(2, (4, 6, 1)), verbose=0)
    model.predict(data(2, (2, 3, 1)), verbose=0)
    assert not calls
    model.fit(data(2, (2, 3, 1)), data(2, (4, 6, 1)), verbose=0)
    assert bool(calls) == (keras.backend.backend() == "jax")


@on_jax
@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": "same"},
        {"padding": "same", "dilation_rate": 2},
        {"padding": "valid", "strides": 2},
        {"padding": "same", "strides": 2, "output_padding": 1},
        {"padding": "same", "strides": 2, "data_format": "channels_first"},
    ],
    ids=str,
)
def test_what_is_rare_is_keras_s_own(arguments, calls):
    x = data(2, (4, 4, 4))
    ours, theirs = Conv2DTranspose(3, 3, **arguments), layers.Conv2DTranspose(3, 3, **arguments)
    theirs.build(x.shape)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_array_equal(to_numpy(ours(x, training=True)), to_numpy(theirs(x)))
    assert not calls


def network(kind):
    inputs = keras.Input((3, 2, 2))
    x = kind(3, 3, 2, padding="same", activation="relu", name="first")(inputs)
    return keras.Model(inputs, kind(1, 4, 2, padding="same", name="second")(x))


@pytest.mark.parametrize(
    "kinds",
    [(layers.Conv2DTranspose, Conv2DTranspose), (Conv2DTranspose, layers.Conv2DTranspose)],
)
def test_a_weight_file_of_either_layer_loads_into_the_other(kinds, tmp_path):
    one, other = map(network, kinds)
    one.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))
    x = data(2, (3, 2, 2))
    assert_close(one(x, training=True), other(x, training=True), 1e-6)


def test_a_keras_file_gives_the_layer_back(tmp_path):
    model = network(Conv2DTranspose)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    first = loaded.get_layer("first")
    assert type(first) is Conv2DTranspose
    assert first.get_config() == model.get_layer("first").get_config()
    theirs = network(layers.Conv2DTranspose).get_layer("first")
    assert set(first.get_config()) == set(theirs.get_config())
    x = data(2, (3, 2, 2))
    np.testing.assert_array_equal(to_numpy(model(x)), to_numpy(loaded(x)))


@pytest.mark.parametrize("stride", [1, 2])
def test_in_bfloat16_the_bias_gets_its_whole_gradient(stride):
    inputs = keras.Input((64, 64, 1))
    layer = Conv2DTranspose(1, 3, stride, padding="same", dtype="mixed_bfloat16")
    model = keras.Model(inputs, layer(inputs))
    model.compile(Gradient(), loss=lambda y, outputs: ops.sum(ops.cast(outputs, "float32")))
    x = data(2, (64, 64, 1))
    model.train_on_batch(x, x)
    # One for every pixel; added up in bfloat16 it is 256.
    assert to_numpy(layer.bias)[0] == 2 * (64 * stride) ** 2
