import numpy as np
from scipy.special import expit

from tests.support import data, randomise, tiny_vae, to_numpy


def test_log_px_z_is_the_cross_entropy_with_the_paper_s_constant():
    vae = tiny_vae("continuous-bernoulli")
    randomise(vae, scale=2.0)
    x = data(4)
    parameters = vae(x)
    p = expit(to_numpy(parameters["likelihood"]["logits"]))
    log_c = np.log(2.0 * np.arctanh(1.0 - 2.0 * p) / (1.0 - 2.0 * p))
    expected = np.sum(x * np.log(p) + (1.0 - x) * np.log(1.0 - p) + log_c, axis=(1, 2, 3))
    np.testing.assert_allclose(to_numpy(vae.trace(x, parameters).log_px_z), expected, rtol=1e-5)


def test_the_reconstruction_is_the_mean_and_not_the_sigmoid():
    vae = tiny_vae("continuous-bernoulli")
    randomise(vae, scale=2.0)
    z = np.ones((1, 2), "float32")
    p = expit(to_numpy(vae.likelihood(z)["logits"]))
    mean = p / (2.0 * p - 1.0) + 1.0 / (2.0 * np.arctanh(1.0 - 2.0 * p))
    np.testing.assert_allclose(vae.decode(z), mean, rtol=1e-5)
    assert np.abs(mean - p).max() > 0.05
