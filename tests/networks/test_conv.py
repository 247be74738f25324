import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import conv_decoder, conv_encoder
from tests.support import data, to_numpy

sides = st.integers(1, 50)


def test_the_article_s_pair_has_492_577_parameters_and_its_layers():
    vae = kelbo.presets.vae((28, 28, 1), latent_dim=16)
    assert vae.count_params() == 492_577
    kinds = [type(layer).__name__ for layer in vae.encoder.layers]
    assert kinds == [
        "InputLayer",
        *["Conv2D", "LeakyReLU"] * 3,
        *["Flatten", "Dense", "Dense", "GaussianSampling"],
    ]
    assert [layer.name for layer in vae.encoder.layers[-3:]] == ["mu", "log_var", "enc_out_z"]
    kinds = [type(layer).__name__ for layer in vae.decoder.layers]
    assert kinds == [
        *["InputLayer", "Dense", "Reshape"],
        *["Conv2DTranspose", "LeakyReLU"] * 3,
        "Activation",
    ]
    assert vae.encoder.get_layer("enc_flatten").output.shape == (None, 6272)
    for layer in (*vae.encoder.layers, *vae.decoder.layers):
        if isinstance(layer, keras.layers.LeakyReLU):
            assert layer.negative_slope == pytest.approx(0.3)
    for name in ("mu", "log_var"):
        assert vae.encoder.get_layer(name).activation is keras.activations.linear


@settings(max_examples=12)
@given(sides, sides, st.integers(1, 3))
def test_the_decoder_gives_back_the_encoder_s_shape(height, width, channels):
    shape = (height, width, channels)
    assert conv_encoder(shape, (2, 2, 2)).input_shape == (None, *shape)
    assert conv_decoder(shape, 2, filters=(2, 2, 2)).output_shape == (None, *shape)


@pytest.mark.parametrize("shape", [(96, 96, 3), (30, 45, 1), (1, 1, 1), (7, 5, 2)], ids=str)
def test_images_of_any_size_go_through_the_pair(shape):
    vae = kelbo.VAE(
        kelbo.GaussianPosterior(conv_encoder(shape, (2, 3, 4)), 2),
        kelbo.BernoulliLikelihood(conv_decoder(shape, 2, None, (2, 3, 4))),
    )
    x = data(3, shape)
    assert vae(x)["likelihood"]["logits"].shape == x.shape
    assert np.isfinite(to_numpy(vae.trace(x).log_px_z)).all()


def test_every_output_of_the_decoder_has_a_last_layer_of_its_own():
    decoder = conv_decoder(
        (7, 5, 2), 2, output_shapes=[(7, 5, 2)] * 2, filters=(2, 3), strides=(1, 2)
    )
    assert decoder.output_shape == [(None, 7, 5, 2)] * 2
    first, second = (to_numpy(output) for output in decoder(np.ones((1, 2), "float32")))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((28, 28),), r"received \(28, 28\).*'mlp'"),
        (((28, 0, 1),), r"received \(28, 0, 1\)"),
        (((28, 28, 1), (4, 4), (1,)), r"filters=\(4, 4\) and strides=\(1,\)"),
        (((28, 28, 1), (), ()), r"filters=\(\)"),
    ],
)
def test_an_impossible_size_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        conv_encoder(*arguments)
    data_shape, *sizes = arguments
    with pytest.raises(UsageError, match=message):
        conv_decoder(data_shape, 2, None, *sizes)
