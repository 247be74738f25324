import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import mlp_encoder
from tests.support import LATENT, SHAPE, data, tiny_ae, to_numpy


def test_z_is_one_dense_layer_on_the_features():
    ae = tiny_ae()
    kernel, bias = (to_numpy(weight) for weight in ae.posterior.z.weights)
    expected = to_numpy(ae.posterior.network(data(4))) @ kernel + bias
    for z in (ae(data(4))["z"], ae.encoder(data(4)), ae.encode(data(4))["z"]):
        np.testing.assert_allclose(to_numpy(z), expected, rtol=1e-5, atol=1e-6)
    assert ae.encoder.layers[-1].name == "enc_out_z"


def test_needs_one_output_and_a_size():
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    two = keras.Model(x, [layers.Dense(LATENT)(h)] * 2)
    with pytest.raises(UsageError, match="received 2 outputs"):
        kelbo.DeterministicPosterior(two, LATENT)
    with pytest.raises(UsageError, match="latent_dim=0"):
        kelbo.DeterministicPosterior(mlp_encoder(SHAPE, (5,)), 0)
