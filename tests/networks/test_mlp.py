import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import mlp_decoder, mlp_encoder
from tests.support import to_numpy


@pytest.mark.parametrize("shape", [(4,), (3, 2), (3, 2, 1), (2, 2, 2, 2)], ids=str)
def test_data_of_any_shape_come_back_in_it(shape):
    assert mlp_encoder(shape, (5, 4)).input_shape == (None, *shape)
    assert mlp_encoder(shape, (5, 4)).output_shape == (None, 4)
    assert mlp_decoder(shape, 3, None, (5, 4)).output_shape == (None, *shape)
    assert mlp_decoder(shape, 3, [shape, shape], (5, 4)).output_shape == [(None, *shape)] * 2


def test_is_the_recipe_of_burda_et_al_by_default():
    dense = [784 * 200 + 200, 200 * 200 + 200]
    assert mlp_encoder((28, 28, 1)).count_params() == sum(dense)
    assert mlp_decoder((28, 28, 1), 50).count_params() == (
        (50 * 200 + 200) + (200 * 200 + 200) + (200 * 784 + 784)
    )
    vae = kelbo.presets.vae((28, 28, 1), 50, network="mlp")
    assert vae.count_params() == sum(dense) + 2 * (200 * 50 + 50) + 50_400 + 157_584


def test_the_decoder_mirrors_the_encoder():
    kernels = [w.shape for w in mlp_encoder((6,), (5, 4)).weights if "kernel" in w.path]
    mirrored = [w.shape for w in mlp_decoder((6,), 3, None, (5, 4)).weights if "kernel" in w.path]
    assert kernels == [(6, 5), (5, 4)]
    assert mirrored == [(3, 4), (4, 5), (5, 6)]


def test_hidden_layers_are_tanh_and_the_last_is_linear():
    decoder = mlp_decoder((2,), 1, None, (3,))
    hidden, out = (layer for layer in decoder.layers if layer.weights)
    for weight in decoder.weights:
        weight.assign(np.full(weight.shape, 2.0))
    assert (hidden.activation.__name__, out.activation.__name__) == ("tanh", "linear")
    np.testing.assert_allclose(
        to_numpy(decoder(np.ones((1, 1), "float32"))), 6.0 * np.tanh(4.0) + 2.0, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(((),), r"received \(\)"), (((0, 2),), r"received \(0, 2\)"), (((3,), ()), "hidden layer")],
)
def test_an_impossible_size_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        mlp_encoder(*arguments)
    data_shape, *sizes = arguments
    with pytest.raises(UsageError, match=message):
        mlp_decoder(data_shape, 2, None, *sizes)
