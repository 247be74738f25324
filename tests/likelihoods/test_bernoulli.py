import numpy as np
from scipy.special import expit

from tests.support import data, tiny_vae, to_numpy


def test_log_px_z_is_minus_the_summed_binary_cross_entropy():
    vae = tiny_vae("bernoulli")
    x = data(4)
    parameters = vae(x)
    p = expit(to_numpy(parameters["likelihood"]["logits"]))
    expected = np.sum(x * np.log(p) + (1.0 - x) * np.log(1.0 - p), axis=(1, 2, 3))
    np.testing.assert_allclose(to_numpy(vae.trace(x, parameters).log_px_z), expected, rtol=1e-5)
