"""Structural similarity, against TensorFlow's own on the same images."""

import importlib.util

import numpy as np
import pytest
from keras import ops

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import mlp_decoder, mlp_encoder
from kelbo.objectives.ssim import SCALE_WEIGHTS, most_scales, multi_scale_ssim, ssim
from tests.support import gradient, tiny_ae, to_numpy


def images(height, width, channels, n=2):
    """Smooth images and noisy ones of the same content."""
    generator = np.random.default_rng(height * width)
    rows = np.linspace(0.0, 3.0, height)[:, None, None]
    columns = np.linspace(0.0, 2.0, width)[None, :, None]
    phase = generator.uniform(0.0, 6.0, (n, 1, 1, channels))
    x = 0.5 + 0.4 * np.sin(rows + columns + phase)
    y = np.clip(x + generator.normal(0.0, 0.15, x.shape), 0.0, 1.0)
    return x.astype("float32"), y.astype("float32")


SIZES = [(11, 11, 1), (28, 28, 1), (23, 32, 3)]


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow")
@pytest.mark.parametrize("size", SIZES)
def test_it_is_tensorflow_s(size):
    tf = pytest.importorskip("tensorflow")
    x, y = images(*size)
    tensors = (ops.convert_to_tensor(each) for each in (x, y))
    expected = tf.image.ssim(tf.constant(x), tf.constant(y), max_val=1.0).numpy()
    np.testing.assert_allclose(to_numpy(ssim(*tensors)), expected, atol=2e-5)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow")
@pytest.mark.parametrize(
    ("size", "scales"), [((28, 28, 1), 2), ((45, 50, 3), 3), ((176, 180, 1), 5)]
)
def test_at_several_scales_it_is_tensorflow_s(size, scales):
    tf = pytest.importorskip("tensorflow")
    x, y = images(*size)
    powers = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    expected = tf.image.ssim_multiscale(
        tf.constant(x), tf.constant(y), max_val=1.0, power_factors=powers
    ).numpy()
    tensors = (ops.convert_to_tensor(each) for each in (x, y))
    np.testing.assert_allclose(to_numpy(multi_scale_ssim(*tensors, scales)), expected, atol=2e-5)


def test_an_image_is_most_similar_to_itself_and_the_gradient_is_finite():
    x, y = images(24, 24, 1)
    np.testing.assert_allclose(to_numpy(ssim(x, x)), 1.0, atol=1e-6)
    np.testing.assert_allclose(to_numpy(multi_scale_ssim(x, x, 2)), 1.0, atol=1e-5)
    # Its negative, of which contrast and structure are negative: a product of powers of 0.
    for other in (y, 1.0 - x, 0.0 * x):
        assert np.all(to_numpy(ssim(x, other)) < 0.95)
        slope = gradient(lambda image: multi_scale_ssim(x, image, 2), other)
        assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("size", "scales"), [((10, 40), 0), ((11, 11), 1), ((28, 28), 2), ((21, 99), 2)]
)
def test_how_many_scales_an_image_has(size, scales):
    assert most_scales(*size) == scales


def image_model(objective, shape=(12, 12, 1), vae=True):
    encoder, decoder = mlp_encoder(shape, (4,)), mlp_decoder(shape, 2, None, (4,))
    if not vae:
        posterior = kelbo.DeterministicPosterior(encoder, 2)
        return kelbo.AE(posterior, kelbo.BernoulliLikelihood(decoder), objective=objective)
    posterior = kelbo.GaussianPosterior(encoder, 2)
    return kelbo.VAE(posterior, kelbo.BernoulliLikelihood(decoder), objective=objective, seed=0)


@pytest.mark.parametrize("vae", [True, False])
def test_the_loss_weighs_dissimilarity_against_the_kl(vae):
    beta = 3.0 if vae else 0.0
    model = image_model(kelbo.StructuralSimilarity(5.0, beta=beta), vae=vae)
    x, _ = images(12, 12, 1)
    trace = model.trace(x)
    found = {name: to_numpy(value) for name, value in model.objective.terms(trace).items()}
    same = to_numpy(ssim(ops.convert_to_tensor(x), trace.px_z.mean()))
    np.testing.assert_allclose(found["ssim"], same, rtol=1e-6)
    kl = beta * found["kl"] if vae else 0.0
    np.testing.assert_allclose(found["loss"], 5.0 * (1.0 - same) + kl, rtol=1e-5)
    assert set(found) - {"loss"} == set(model.objective.logged)
    assert model.effective_beta is None
    words = "no single weight of the KL" if vae else "no KL term"
    assert model.describe_training().endswith(words)


REFUSED = {
    "no images": (lambda: tiny_ae(), 0.0, r"smaller than the window of 11 x 11. Use kelbo.ELBO"),
    "too many scales": (lambda: image_model(None), 1.0, "12 x 12 pixels are.*Use scales=1"),
    "no kl": (lambda: image_model(None, vae=False), 1.0, r"no KL: use .*\(beta=0.0\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compared_is_refused(name):
    make, beta, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        make().objective = kelbo.StructuralSimilarity(scales=2, beta=beta)


def test_vectors_and_all_reals_are_refused():
    with pytest.raises(UsageError, match=r"images, .height, width, channels."):
        kelbo.StructuralSimilarity().check(*_parts((6,)))
    with pytest.raises(UsageError, match=r"images in \[0, 1\]"):
        kelbo.StructuralSimilarity().check(*_parts((12, 12, 1)))
    with pytest.raises(UsageError, match="1 to 5 scales, received 6"):
        kelbo.StructuralSimilarity(scales=6)


def _parts(shape):
    likelihood = kelbo.GaussianLikelihood(mlp_decoder(shape, 2, None, (4,)))
    return (
        kelbo.GaussianPosterior(mlp_encoder(shape, (4,)), 2),
        likelihood,
        kelbo.StandardNormalPrior(),
    )
