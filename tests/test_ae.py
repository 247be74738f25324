import numpy as np
import pytest
from scipy.special import expit

from tests.support import data, randomise, tiny_ae, to_numpy

X = data(4)


def test_the_loss_is_the_binary_cross_entropy_of_the_decoded_code():
    ae = tiny_ae()
    randomise(ae)
    logits = to_numpy(ae.likelihood.network(ae.posterior(X)["z"]))
    expected = -np.sum(X * np.log(expit(logits)) + (1 - X) * np.log(expit(-logits))) / 4
    ae.compile("sgd")
    logs = ae.test_on_batch(X, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-5)
    assert set(logs) == {"loss", "reconstruction"}


def test_draws_nothing():
    ae = tiny_ae()
    np.testing.assert_array_equal(to_numpy(ae(X)["z"]), to_numpy(ae(X)["z"]))


def test_has_no_beta_no_prior_and_no_bound():
    ae = tiny_ae()
    assert ae.effective_beta is None
    assert ae.prior is None
    for name in ("sample", "log_likelihood"):
        assert not hasattr(ae, name)
    with pytest.raises(ValueError, match="no prior, so it has no weights"):
        ae.trace(X).log_weights  # noqa: B018
