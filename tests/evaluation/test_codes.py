"""The parts of the KL on codes whose parts are known."""

import numpy as np
import pytest

import kelbo
from kelbo.data import from_arrays
from kelbo.evaluation.codes import code_figures
from tests.support import UntabledPrior, data, randomise, tiny_ae, tiny_vae
from tests.test_truths import linear_vae, set_linear

NARROW = 1e-4  # a variance by which codes at -1 and 1 do not overlap


def codes(means, variance, most=2000, seed=0):
    """The figures of q(z|x) = N(x, variance) at given means."""
    dim = means.shape[1]
    vae = linear_vae(dim, dim, 1.0)
    zeros = np.zeros(dim)
    set_linear(vae, np.eye(dim), zeros, zeros + np.log(variance), np.eye(dim), zeros)
    x = means.astype("float32")
    return code_figures(vae, from_arrays(x, x, kind="vector"), seed, most)


def kl(means, variance):
    return 0.5 * (variance + means**2 - 1.0 - np.log(variance)).sum(axis=1).mean()


def test_a_code_that_says_nothing_has_no_information_and_the_whole_kl_is_the_aggregate_s():
    found = codes(np.full((500, 3), 0.7), 0.5)
    assert found["code_images"] == 500
    assert found["mutual_information"] == pytest.approx(0.0, abs=1e-5)
    assert found["total_correlation"] == pytest.approx(0.0, abs=1e-5)
    # Each of 500 x 3 terms has a spread of about 0.9.
    assert found["aggregate_kl"] == pytest.approx(kl(np.full((1, 3), 0.7), 0.5), abs=0.3)
    assert found["dimension_wise_kl"] == pytest.approx(found["aggregate_kl"], abs=1e-5)


def test_codes_that_do_not_overlap_tell_which_image_it_is():
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)
    found = codes(np.repeat(corners, 50, axis=0), NARROW)
    assert found["mutual_information"] == pytest.approx(np.log(4.0), abs=1e-4)
    assert found["total_correlation"] == pytest.approx(0.0, abs=1e-4)
    # Only two of the corners: one dimension says all of the other.
    found = codes(np.repeat(corners[[0, 3]], 100, axis=0), NARROW)
    assert found["mutual_information"] == pytest.approx(np.log(2.0), abs=1e-4)
    assert found["total_correlation"] == pytest.approx(np.log(2.0), abs=1e-4)


def test_the_mean_kl_is_the_information_and_the_kl_of_the_aggregate():
    generator = np.random.default_rng(0)
    means = generator.standard_normal((1500, 2)) @ np.array([[0.8, 0.5], [0.0, 0.6]])
    found = codes(means, 0.2)
    whole = found["mutual_information"] + found["aggregate_kl"]
    assert whole == pytest.approx(kl(means, 0.2), abs=0.1)
    parts = found["total_correlation"] + found["dimension_wise_kl"]
    assert parts == pytest.approx(found["aggregate_kl"], abs=1e-6)
    assert found["mutual_information"] > 0.5 and found["total_correlation"] > 0.05
    # The aggregate is nearly N(0, S), whose total correlation is -1/2 log |R|.
    covariance = np.cov(means.T) + 0.2 * np.eye(2)
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    expected = -0.5 * np.log(1.0 - correlation**2)
    assert found["total_correlation"] == pytest.approx(expected, abs=0.05)


def test_the_images_are_spread_evenly_and_the_codes_have_a_seed():
    means = np.linspace(-1.0, 1.0, 100)[:, None]
    assert codes(means, NARROW, most=10)["code_images"] == 10
    assert codes(means, NARROW, most=10)["mutual_information"] == pytest.approx(
        np.log(10), abs=1e-3
    )
    assert codes(means, 0.5, seed=1) != codes(means, 0.5, seed=2)


def test_the_parts_that_a_model_does_not_have_are_left_out():
    x = data(5)
    assert code_figures(tiny_ae(), from_arrays(x, x)) == {}
    vae = tiny_vae()
    randomise(vae)
    tabled = code_figures(vae, from_arrays(x, x))
    untabled = kelbo.VAE(vae.posterior, vae.likelihood, UntabledPrior())
    assert code_figures(untabled, from_arrays(x, x)) == pytest.approx(tabled)


@pytest.mark.parametrize("posterior", ["full-covariance", "planar", "radial", "von-mises-fisher"])
def test_dimensions_of_z_that_depend_on_one_another_have_no_parts(posterior):
    prior = {"prior": "uniform-sphere"} if posterior == "von-mises-fisher" else {}
    x = data(5)
    vae = kelbo.presets.vae(x.shape[1:], 3, "mlp", posterior=posterior, **prior)
    assert code_figures(vae, from_arrays(x, x)) == {}
