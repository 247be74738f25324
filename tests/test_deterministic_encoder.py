"""The encoder to deploy: plain Keras, named outputs, the same at every call."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import kelbo
from tests.support import data, tiny_ae, tiny_vae

X = data(6)


@pytest.mark.parametrize("make", [tiny_vae, tiny_ae])
def test_gives_what_encode_gives_by_name_at_every_call(make):
    model = make()
    encoder = model.deterministic_encoder()
    first, again = encoder.predict(X, verbose=0), encoder.predict(X, verbose=0)
    assert first.keys() == model.encode(X).keys()
    for name, value in model.encode(X).items():
        np.testing.assert_array_equal(first[name], again[name])
        np.testing.assert_allclose(first[name], value, rtol=1e-5, atol=1e-6)


def test_of_another_network_s_mu_and_log_var_has_their_names():
    x = keras.Input((4,))
    h = keras.layers.Dense(3)(x)
    encoder = keras.Model(x, [keras.layers.Dense(2)(h), keras.layers.Dense(2)(h)])
    assert kelbo.GaussianPosterior(encoder).deterministic_encoder().output.keys() == {
        "mu",
        "log_var",
    }


def test_loads_where_kelbo_is_not(tmp_path):
    plain = keras.Sequential(
        [keras.Input((3, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(4, "tanh")]
    )
    encoder = kelbo.GaussianPosterior(plain, 2).deterministic_encoder()
    encoder.save(tmp_path / "encoder.keras")
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, keras, numpy as np; sys.modules['kelbo'] = None\n"
        f"m = keras.saving.load_model({str(tmp_path / 'encoder.keras')!r})\n"
        f"np.save({str(tmp_path / 'mu.npy')!r}, m.predict(np.load({str(tmp_path / 'x.npy')!r}), "
        "verbose=0)['mu'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    expected = encoder.predict(X, verbose=0)["mu"]
    np.testing.assert_allclose(np.load(tmp_path / "mu.npy"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel of TensorFlow")
def test_is_exported_with_its_names_and_an_open_batch(tmp_path):
    import tensorflow as tf

    vae = tiny_vae()
    vae.deterministic_encoder().export(tmp_path / "encoder", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "encoder")
    for n in (1, 5):
        outputs = loaded.serve(tf.constant(X[:n]))
        for name, expected in vae.encode(X[:n]).items():
            np.testing.assert_allclose(outputs[name], expected, rtol=1e-5, atol=1e-6)
