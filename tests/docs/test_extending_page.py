"""The examples of docs/extending.md run from top to bottom."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy import stats

import kelbo
from tests.support import to_numpy

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the examples define, after all of them have run."""
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S))
    names = {"__name__": "extending"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("extending"))
        exec(compile(code, PAGE.name, "exec"), names)
    return names


def tensor(values):
    return keras.ops.convert_to_tensor(values, "float32")


def test_what_is_trained_comes_back_from_its_file(names):
    x = names["x"][:8]
    first, again = (each.log_likelihood(x, 20) for each in (names["vae"], names["again"]))
    assert first.shape == (8,)
    assert set(names["history"]) == {"loss", "elbo", "reconstruction", "kl"}
    assert names["again"].objective.target == 1.0
    assert np.isfinite(again).all()
    assert names["threes"].shape == (5, 6)
    assert names["bound"].shape == (8,)


def test_its_poisson_is_scipy_s(names):
    k, rate = np.arange(12.0)[:, None], np.array([[0.5, 3.0, 9.0]])
    p = names["Poisson"](tensor(np.log(rate)))
    log_prob = to_numpy(p.log_prob_per_dimension(tensor(k)))
    np.testing.assert_allclose(log_prob, stats.poisson.logpmf(k, rate), atol=1e-5)
    draws = to_numpy(p.sample(0, (4000,)))
    np.testing.assert_allclose(draws.mean(axis=(0, 1)), rate[0], rtol=0.05)


def test_its_kl_of_laplaces_is_the_integral(names):
    q = names["Laplace"](tensor([0.5]), tensor([-0.3]))
    p = names["Laplace"](tensor([-1.0]), tensor([0.4]))
    grid = np.linspace(-30, 30, 600_001)
    log_q = stats.laplace(0.5, np.exp(-0.3)).logpdf(grid)
    log_p = stats.laplace(-1.0, np.exp(0.4)).logpdf(grid)
    expected = np.trapezoid(np.exp(log_q) * (log_q - log_p), grid)
    kl = to_numpy(kelbo.distributions.kl_per_dimension(q, p))
    np.testing.assert_allclose(kl, [expected], rtol=1e-4)


def test_data_outside_its_support_are_refused(names):
    with pytest.raises(kelbo.errors.DataError, match="counts"):
        names["vae"].fit(names["x"] + 0.5, verbose=0)
