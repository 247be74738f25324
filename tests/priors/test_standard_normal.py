import numpy as np
from scipy import stats

import kelbo
from tests.support import tiny_vae, to_numpy


def test_is_the_standard_normal_of_the_latent_size():
    z = np.array([[0.5, -1.0], [3.0, 0.0]], "float32")
    prior = tiny_vae().prior
    assert isinstance(prior, kelbo.StandardNormalPrior)
    np.testing.assert_allclose(
        to_numpy(prior.distribution({}).log_prob(z)),
        stats.norm.logpdf(z.astype("float64")).sum(axis=1),
        rtol=1e-6,
    )
    assert prior.distribution({}).sample(0, (7,)).shape == (7, 2)


def test_has_no_weights():
    assert tiny_vae().prior.weights == []
