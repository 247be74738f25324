"""The repaired snippets, run: what `kelbo explain` tells people to write works on this backend."""

import textwrap

import keras
import numpy as np
import pytest
from keras import ops

from kelbo.clinic.explain import EXPLANATIONS

REPAIRED = {explanation.name: explanation.repaired for explanation in EXPLANATIONS}

DIM = 2
IMAGES = np.random.default_rng(0).random((8, 6), "float32")


@keras.saving.register_keras_serializable(package="test_repairs")
class Noiseless(keras.layers.Layer):
    """Stands for a sampling layer where another snippet is on trial."""

    def call(self, inputs):
        mu, log_var = inputs
        return mu + 0 * log_var


@pytest.fixture
def names():
    """What the snippets take for granted: a functional model, its tensors, the data."""
    x = keras.Input((6,))
    h = keras.layers.Dense(4)(x)
    mu, log_var = keras.layers.Dense(DIM)(h), keras.layers.Dense(DIM)(h)
    z = Noiseless()([mu, log_var])
    encoder = keras.Model(x, [mu, log_var, z])
    latent = keras.Input((DIM,))
    decoder = keras.Model(latent, keras.layers.Dense(6)(latent))
    x_decoded = decoder(z)
    return {
        "keras": keras,
        "ops": ops,
        "np": np,
        "x": x,
        "h": h,
        "mu": mu,
        "log_var": log_var,
        "latent_dim": DIM,
        "encoder": encoder,
        "decoder": decoder,
        "x_decoded": x_decoded,
        "vae": keras.Model(x, x_decoded),
        "images": IMAGES,
        "x_train": IMAGES,
        "x_test": IMAGES,
        "reconstruction": lambda x, y: ops.mean(ops.square(x - y)),
        "kl": lambda mu, log_var: ops.mean(ops.square(mu) + ops.exp(log_var) - log_var - 1) / 2,
        "kl_of": lambda mu, log_var: ops.mean(ops.square(mu) + ops.exp(log_var) - log_var - 1) / 2,
    }


def run(name, names, inside=""):
    """Run a snippet, inside a class where it consists of methods, and return what it defined."""
    code = REPAIRED[name]
    if inside:
        code = f"class {inside}:\n{textwrap.indent(code, '    ')}"
    exec(code, names)
    return names


def trains(model, y=IMAGES):
    before = [np.array(weight) for weight in model.get_weights()]
    (loss,) = model.fit(IMAGES, y, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(loss) and loss != 0
    moved = [np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True)]
    return all(moved)


@pytest.mark.parametrize("name", ["loss-closure", "add-loss-on-functional-model"])
def test_a_layer_adds_the_kl_term(name, names):
    run(name, names)
    z = Noiseless()([names["mu"], names["log_var"]])
    vae = keras.Model(names["x"], names["decoder"](z))
    vae.compile("adam", loss="mse")
    assert trains(vae)
    vae(IMAGES)
    assert len(vae.losses) == 1


def test_a_loss_layer_gets_all_it_uses(names):
    run("layer-closure", names)
    vae = keras.Model(names["x"], names["y"])
    vae.compile("adam")
    assert trains(vae, y=None)


@pytest.mark.parametrize(
    "name",
    [
        "backend-function-on-symbolic-tensor",
        "lambda-lost-its-globals",
        "lambda-refused",
        "operations-of-keras-2",
    ],
)
def test_a_sampling_layer_draws_anew_and_comes_back_from_a_file(name, names, tmp_path):
    run(name, names)
    model = keras.Model(names["x"], names["z"])
    assert np.any(model.predict(IMAGES, verbose=0) != model.predict(IMAGES, verbose=0))
    model.save(tmp_path / "model.keras")
    objects = {"Sampling": names["Sampling"]}
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects=objects)
    assert loaded.predict(IMAGES, verbose=0).shape == (8, DIM)


def test_a_vae_by_compute_loss_fits_and_evaluates(names):
    vae = run("no-loss", names)["vae"]
    assert trains(vae)
    assert np.isfinite(vae.evaluate(IMAGES, IMAGES, verbose=0))
    assert vae.predict(IMAGES, verbose=0)["x"].shape == IMAGES.shape


@pytest.mark.parametrize(
    "name",
    ["tensor-out-of-scope", "no-gradients", "train-step-of-another-backend", "add-metric-gone"],
)
def test_compute_loss_gets_what_call_returns(name, names):
    class Base(keras.Model):
        def call(self, x):
            mu, log_var, z = self.encoder(x)
            return {"x": self.decoder(z), "mu": mu, "log_var": log_var}

    names["Base"] = Base
    vae = run(name, names, inside="VAE(Base)")["VAE"]()
    vae.encoder, vae.decoder = names["encoder"], names["decoder"]
    vae.compile("adam")
    assert trains(vae)
    if name == "add-metric-gone":
        assert 0 < vae.fit(IMAGES, IMAGES, verbose=0).history["kl_loss"][0] < 9


@pytest.mark.parametrize(
    "name",
    [
        "decoder-fed-three-tensors",
        "number-of-symbolic-tensor",
        "no-target",
        "part-without-gradient",
        "metric-not-available",
        "nan-in-the-input",
        "backend-function-gone",
    ],
)
def test_a_snippet_that_stands_alone_runs(name, names):
    names["vae"].compile("adam", loss="mse")
    if name in ("decoder-fed-three-tensors", "nan-in-the-input"):
        names["x"] = IMAGES
    run(name, names)


def test_a_bounded_log_var_and_logits_are_finite(names):
    names.update(x=IMAGES, h=1e3 * np.ones((8, 4), "float32"), logits=IMAGES - 1e3, pixels=6)
    run("loss-nan", names)
    assert np.max(ops.convert_to_numpy(names["log_var"])) <= 10
    assert np.isfinite(ops.convert_to_numpy(names["loss"])).all()


def test_a_model_with_get_config_comes_back_from_a_file(names, tmp_path):
    body = (
        "\n        super().__init__(**kwargs)"
        "\n        self.encoder, self.decoder = encoder, decoder"
        "\n    def call(self, x):\n        return self.decoder(self.encoder(x)[2])"
    )
    exec(REPAIRED["get-config-missing"].replace("**kwargs): ...", f"**kwargs):{body}"), names)
    vae = names["VAE"](names["encoder"], names["decoder"])
    expected = vae.predict(IMAGES, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(
        tmp_path / "vae.keras", custom_objects={"Noiseless": Noiseless, "VAE": names["VAE"]}
    )
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), expected, rtol=1e-5)
