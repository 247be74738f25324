"""The reference that every recipe is compared with is what it claims to be."""

import numpy as np
import pytest

from kelbo.clinic.recipes.parity import IMAGES, KINDS, LATENT_DIM, TRAINING_IMAGES, inputs
from kelbo.clinic.recipes.reference import parity_arrays
from tests.parity import reference


@pytest.fixture(scope="module")
def arrays():
    """Weights, images, noise, losses and gradients, by the kind of model."""
    return {kind: parity_arrays(kind) for kind in KINDS}


def group(arrays, kind):
    start = kind + ":"
    return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}


def forward(weights, images, noise):
    """mu, log_var and the logits in float64 NumPy, from the article's description alone."""
    h = images
    for name, stride in (("enc_conv_1", 1), ("enc_conv_2", 2), ("enc_conv_3", 2)):
        h = reference.leaky(reference.convolution(weights, name, h, stride))
    shape, h = h.shape, h.reshape(len(images), -1)
    if "z/kernel" in weights:
        mu = log_var = z = reference.dense(weights, "z", h)
    else:
        mu, log_var = (reference.dense(weights, name, h) for name in ("mu", "log_var"))
        z = mu + np.exp(0.5 * log_var) * noise
    h = reference.dense(weights, "dec_dense", z).reshape(shape)
    for name, stride in (("dec_conv_3", 2), ("dec_conv_2", 2), ("dec_conv_1", 1)):
        h = reference.leaky(reference.transposed_convolution(weights, name, h, stride))
    return mu, log_var, h


def loss(kind, arrays, weights, kl=True):
    """mean BCE + 1e-4 mean KL, as the article's constant -0.5e-4 means it."""
    images = arrays["images"].astype("float64")
    mu, log_var, logits = forward(weights, images, arrays["noise"].astype("float64"))
    bce = -np.mean(reference.bernoulli(weights, images, logits))
    if kind == "ae" or not kl:
        return bce
    return bce + 1e-4 * np.mean(-0.5 * (1.0 + log_var - mu**2 - np.exp(log_var)))


def float64(weights):
    return {name: array.astype("float64") for name, array in weights.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_articles_by_an_independent_formula(arrays, kind):
    weights = float64(group(arrays[kind], "weight"))
    expected = loss(kind, arrays[kind], weights)
    assert float(arrays[kind]["loss"]) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize(
    ("kind", "which"), [("article", "gradient"), ("article", "plain"), ("ae", "gradient")]
)
def test_the_gradient_is_how_the_loss_falls_along_it(arrays, kind, which):
    """(L(w + h d) - L(w - h d)) / 2h = d.g, and d is such that each weight adds 1 to it."""
    weights = float64(group(arrays[kind], "weight"))
    gradient = float64(group(arrays[kind], which))
    squares = {name: np.sum(np.square(array)) for name, array in gradient.items()}
    step = 1e-6 * np.sqrt(min(squares.values()))  # no LeakyReLU bends on so short a way
    ends = []
    for sign in (1.0, -1.0):
        moved = {
            name: weight + sign * step * gradient[name] / squares[name]
            for name, weight in weights.items()
        }
        ends.append(loss(kind, arrays[kind], moved, kl=which == "gradient"))
    assert (ends[0] - ends[1]) / (2.0 * step) == pytest.approx(len(weights), rel=1e-4)


def test_the_kl_is_a_good_part_of_what_reaches_mu_and_log_var(arrays):
    """Or a recipe that loses it could not be told from one that does not."""
    gradient, plain = (group(arrays["article"], kind) for kind in ("gradient", "plain"))
    for name in ("mu/kernel", "mu/bias", "log_var/kernel", "log_var/bias"):
        kl = np.linalg.norm(gradient[name] - plain[name])
        assert kl > 0.2 * np.linalg.norm(gradient[name])
    for name in ("dec_dense/kernel", "dec_conv_1/bias"):
        np.testing.assert_allclose(gradient[name], plain[name], rtol=1e-4, atol=1e-7)


def test_an_autoencoder_has_no_kl_in_its_gradient(arrays):
    gradient, plain = (group(arrays["ae"], kind) for kind in ("gradient", "plain"))
    assert not any(name.startswith(("mu", "log_var")) for name in gradient)
    for name in gradient:
        np.testing.assert_array_equal(gradient[name], plain[name])


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_a_gradient_for_each_weight_and_all_can_travel(arrays, kind, tmp_path):
    found = arrays[kind]
    weights, gradient = group(found, "weight"), group(found, "gradient")
    assert {name: array.shape for name, array in gradient.items()} == {
        name: array.shape for name, array in weights.items()
    }
    # The article's 492,577 parameters; an autoencoder has one Dense layer less.
    lacking = 0 if kind == "article" else 6272 * LATENT_DIM + LATENT_DIM
    assert sum(array.size for array in weights.values()) == 492_577 - lacking
    assert found["images"].shape == (IMAGES, 28, 28, 1)
    assert found["train_images"].shape == (TRAINING_IMAGES, 28, 28, 1)
    assert found["noise"].shape == (1, LATENT_DIM)
    np.savez(tmp_path / "parity.npz", **found)
    with np.load(tmp_path / "parity.npz", allow_pickle=False) as stored:
        assert set(stored.files) == set(found)


def test_weights_and_noise_are_the_same_at_every_call(arrays):
    images = arrays["article"]["train_images"]
    again = inputs("article", images)
    for name, array in again.items():
        np.testing.assert_array_equal(array, arrays["article"][name])
        assert array.dtype == np.float32
