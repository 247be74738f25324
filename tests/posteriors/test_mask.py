"""What an encoder masks does not count in p(x|z)."""

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.errors import DataError, UsageError
from tests.support import to_numpy

STEPS, SIZE, PAD = 6, 3, -99.0


def padded(n=5, used=4):
    x = np.random.default_rng(0).normal(size=(n, STEPS, SIZE)).astype("float32")
    x[:, used:] = PAD
    return x


def vae(*first, likelihood=kelbo.GaussianLikelihood, **kwargs):
    encoder = keras.Sequential([keras.Input((STEPS, SIZE)), *first, layers.LSTM(4)])
    decoder = keras.Sequential(
        [keras.Input((2,)), layers.Dense(STEPS * SIZE), layers.Reshape((STEPS, SIZE))]
    )
    return kelbo.VAE(kelbo.GaussianPosterior(encoder, 2), likelihood(decoder), seed=0, **kwargs)


def test_log_px_z_is_that_of_the_steps_that_are_not_masked():
    model, x = vae(layers.Masking(PAD)), padded()
    passed = model(x)
    mean = to_numpy(passed["likelihood"]["mu"])[:, :4]
    each = -0.5 * (np.log(2 * np.pi) + (x[:, :4] - mean) ** 2)
    expected = each.sum(axis=(1, 2))
    np.testing.assert_allclose(to_numpy(model.trace(x, passed).log_px_z), expected, rtol=1e-5)
    many = model.sampled_trace(x, 3, 0)
    assert many.log_px_z.shape == (3, 5)
    assert np.all(np.abs(to_numpy(many.log_px_z)) < 200)


def test_nothing_on_the_way_to_a_loss_or_a_bound_sees_the_padding():
    model, x = vae(layers.Masking(PAD)), padded()
    model.compile("adam")
    assert model.fit(x, verbose=0).history["loss"][0] < 100
    assert model.evaluate(x, verbose=0, return_dict=True)["loss"] < 100
    assert np.all(model.log_likelihood(x, 5) > -100)


def test_padding_may_lie_outside_the_support_and_nothing_else():
    model = vae(layers.Masking(-1.0), likelihood=kelbo.BernoulliLikelihood)
    model.compile("adam")
    x = np.random.default_rng(0).uniform(size=(5, STEPS, SIZE)).astype("float32")
    x[:, 4:] = -1.0
    assert np.isfinite(model.fit(x, verbose=0).history["loss"][0])
    x[2, 1, 0] = 1.5
    with pytest.raises(DataError, match=r"lie in \[.*1\.5\]"):
        model.fit(x, verbose=0)


def test_a_mask_of_tokens_is_that_of_the_embedding():
    x = np.random.default_rng(1).integers(1, 9, size=(4, STEPS)).astype("float32")
    x[:, 3:] = 0.0
    encoder = keras.Sequential(
        [keras.Input((STEPS,)), layers.Embedding(9, 3, mask_zero=True), layers.LSTM(4)]
    )
    decoder = keras.Sequential([keras.Input((2,)), layers.Dense(STEPS)])
    posterior = kelbo.GaussianPosterior(encoder, 2)
    model = kelbo.VAE(posterior, kelbo.GaussianLikelihood(decoder), seed=0)
    np.testing.assert_array_equal(to_numpy(posterior.observed(x)), x != 0)
    passed = model(x)
    mean = to_numpy(passed["likelihood"]["mu"])
    each = np.where(x != 0, -0.5 * (np.log(2 * np.pi) + (x - mean) ** 2), 0.0)
    np.testing.assert_allclose(to_numpy(model.trace(x, passed).log_px_z), each.sum(1), rtol=1e-5)


def test_a_masked_model_is_saved_and_loaded(tmp_path):
    model, x = vae(layers.Masking(PAD)), padded()
    model.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.log_likelihood(x, 5), model.log_likelihood(x, 5), rtol=1e-5)


def nested():
    inner = [keras.Input((STEPS, SIZE)), layers.Masking(PAD), layers.LSTM(4, return_sequences=True)]
    return (keras.Sequential(inner),)


@pytest.mark.parametrize(
    "first",
    [lambda: (layers.Conv1D(3, 1), layers.Masking(PAD)), nested],
    ids=["features", "nested"],
)
def test_a_mask_of_anything_but_x_is_refused_with_the_way_out(first):
    with pytest.raises(UsageError, match=r"masks what .*directly on the network's input"):
        vae(*first())
