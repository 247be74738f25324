"""The covariance of the codes, against NumPy's."""

import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from tests import kinds
from tests.objectives.test_beta_tc import DIMENSIONS, LOG_VAR, MU, trace
from tests.support import gradient, to_numpy


def expected(kind, off_diagonal, diagonal, mu=MU):
    covariance = np.cov(mu.T.astype("float64"), bias=True)
    if kind == "ii":
        covariance += np.diag(np.exp(LOG_VAR.astype("float64")).mean(axis=0))
    squared = (covariance - np.eye(DIMENSIONS)) ** 2
    on = np.diag(squared).sum()
    return off_diagonal * (squared.sum() - on) + diagonal * on


@pytest.mark.parametrize(("kind", "off", "on"), [("i", 3.0, 0.5), ("ii", 0.5, 3.0), ("ii", 2.0, 0)])
def test_the_penalty_is_that_of_the_covariance_and_so_is_its_gradient(kind, off, on):
    objective = kelbo.DIPVAE(kind, off, on)
    terms = objective.terms(trace())
    assert float(to_numpy(terms["batch_loss"])) == pytest.approx(expected(kind, off, on), rel=1e-4)
    np.testing.assert_allclose(to_numpy(terms["loss"]), to_numpy(terms["kl"]), rtol=1e-6)
    slope = gradient(lambda mu: objective.terms(trace(mu=mu))["batch_loss"], MU)
    numeric = np.zeros_like(slope)
    for place in np.ndindex(MU.shape):
        step = np.zeros(MU.shape)
        step[place] = 1e-5
        up, down = (expected(kind, off, on, MU + sign * step) for sign in (1, -1))
        numeric[place] = (up - down) / 2e-5
    np.testing.assert_allclose(slope, numeric, rtol=1e-3, atol=1e-4)


def test_codes_of_unit_covariance_cost_nothing():
    corners = np.sqrt(3.0) * np.concatenate([np.eye(3), -np.eye(3)]).astype("float32")
    found = kelbo.DIPVAE("i").terms(trace(mu=corners))["batch_loss"]
    assert float(to_numpy(found)) == pytest.approx(0.0, abs=1e-9)


def test_what_it_cannot_be_is_refused():
    with pytest.raises(UsageError, match="'i' or 'ii', received 'iii'"):
        kelbo.DIPVAE("iii")
    with pytest.raises(UsageError, match="of a Cubic they are not known.*kelbo.InfoVAE"):
        kinds.MODELS["flow"]().objective = kelbo.DIPVAE()
    assert kelbo.DIPVAE(beta=2.0).effective_beta(None) == 2.0
