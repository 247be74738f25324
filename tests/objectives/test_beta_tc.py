"""The parts of the mean KL, against the aggregate posterior of all data computed by NumPy."""

import itertools

import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp

import kelbo
from kelbo.data import from_arrays
from kelbo.distributions import Normal
from kelbo.errors import UsageError
from kelbo.trace import Group, Sizes, Trace
from tests import kinds
from tests.support import data, gradient, tiny_vae, to_numpy

generator = np.random.default_rng(5)
N, DIMENSIONS = 6, 3
MU = generator.normal(size=(N, DIMENSIONS)).astype("float32")
LOG_VAR = generator.normal(-1.0, 0.5, size=(N, DIMENSIONS)).astype("float32")
Z = MU + np.exp(0.5 * LOG_VAR) * generator.normal(size=MU.shape).astype("float32")
PARTS = ("mutual_information", "total_correlation", "dimension_kl")


def trace(rows=slice(None), z=None, mu=MU):
    zeros = ops.zeros((DIMENSIONS,))
    z = Z if z is None else z
    group = Group(z[rows], Normal(mu[rows], LOG_VAR[rows]), Normal(zeros, zeros))
    log_px_z = ops.zeros((ops.shape(z[rows])[0],))
    return Trace((group,), log_px_z, None, None, Sizes(4, DIMENSIONS))


def objective(*weights, sampling="stratified", count=N):
    made = kelbo.BetaTC(*weights, sampling=sampling, dataset_size=count)
    made.build((4,), (DIMENSIONS,))
    return made


def log_density(z, mu, log_var):
    return -0.5 * (np.log(2.0 * np.pi) + log_var + (z - mu) ** 2 * np.exp(-log_var))


def exact():
    """The three parts at each draw, q(z) being the mean over all N data."""
    each = log_density(Z[:, None], MU, LOG_VAR).astype("float64")  # (draw, datum, dimension)
    log_qz_x = np.einsum("iij->i", each)
    log_qz = logsumexp(each.sum(-1), axis=1) - np.log(N)
    log_qz_j = (logsumexp(each, axis=1) - np.log(N)).sum(-1)
    log_pz = log_density(Z, 0.0, 0.0).sum(-1)
    return log_qz_x - log_qz, log_qz - log_qz_j, log_qz_j - log_pz


def test_of_all_data_the_parts_are_exact_and_add_up_to_the_kl():
    terms = objective().terms(trace())
    for name, expected in zip(PARTS, exact(), strict=True):
        np.testing.assert_allclose(to_numpy(terms[name]), expected, rtol=1e-4, atol=1e-5)
    sampled_kl = log_density(Z, MU, LOG_VAR).sum(-1) - log_density(Z, 0.0, 0.0).sum(-1)
    np.testing.assert_allclose(sum(exact()), sampled_kl, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", [(6.0, 1.0, 1.0), (0.5, 2.0, 3.0), (1.0, 1.0, 1.0)])
def test_the_loss_weighs_each_part(weights):
    beta, alpha, gamma = weights
    information, correlation, dimensions = exact()
    expected = alpha * information + beta * correlation + gamma * dimensions
    found = to_numpy(objective(*weights).terms(trace())["loss"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert objective(*weights).effective_beta(None) == (1.0 if set(weights) == {1.0} else None)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_stratified_the_expectation_over_batches_is_the_aggregate_posterior(size):
    each = log_density(Z[:, None], MU, LOG_VAR).astype("float64")
    expected = np.exp(logsumexp(each.sum(-1), axis=1) - np.log(N))[0]
    found = []
    for others in itertools.combinations(range(1, N), size - 1):
        terms = objective().terms(trace([0, *others]))
        log_qz = log_density(Z, MU, LOG_VAR).sum(-1)[0] - to_numpy(terms[PARTS[0]])[0]
        found.append(np.exp(log_qz))
    assert np.mean(found) == pytest.approx(expected, rel=1e-4)


def test_weighted_every_datum_of_a_batch_counts_the_same():
    rows, size, count = [0, 2, 3], 3, 50
    terms = objective(sampling="weighted", count=count).terms(trace(rows))
    each = log_density(Z[rows][:, None], MU[rows], LOG_VAR[rows]).astype("float64")
    log_qz = logsumexp(each.sum(-1), axis=1) - np.log(count * size)
    log_qz_j = (logsumexp(each, axis=1) - np.log(count * size)).sum(-1)
    np.testing.assert_allclose(to_numpy(terms[PARTS[1]]), log_qz - log_qz_j, rtol=1e-5)
    log_qz_x = np.einsum("iij->i", each)
    np.testing.assert_allclose(to_numpy(terms[PARTS[0]]), log_qz_x - log_qz, rtol=1e-5)


def test_weighted_the_number_of_data_has_no_gradient_and_stratified_it_has():
    def slope(sampling, count):
        made = objective(sampling=sampling, count=count)
        return gradient(lambda mu: made.terms(trace(z=mu + (Z - MU), mu=mu))["loss"], MU)

    np.testing.assert_allclose(slope("weighted", 6), slope("weighted", 600), atol=1e-4)
    assert np.abs(slope("stratified", 6) - slope("stratified", 600)).max() > 1e-2


def test_fit_counts_arrays_and_batches_and_a_file_keeps_the_count(tmp_path):
    vae, x = tiny_vae(objective=kelbo.BetaTC()), data(10)
    vae.compile("sgd")
    for unknown in (vae.evaluate, vae.train_on_batch, vae.test_on_batch):
        with pytest.raises(UsageError, match="not known of this data set. Give it"):
            unknown(x)
    with pytest.raises(UsageError, match="not known of this data set"):
        vae.fit((x[:4] for _ in range(2)), verbose=0)
    vae.fit(x, batch_size=4, validation_split=0.2, verbose=0)
    assert float(to_numpy(vae.objective.count)) == 8.0
    vae.fit(from_arrays(x, x).batches("train", 4), verbose=0)
    assert float(to_numpy(vae.objective.count)) == 10.0
    vae.evaluate(x, verbose=0)
    vae.save(tmp_path / "vae.keras")
    again = kelbo.load_model(tmp_path / "vae.keras")
    assert float(to_numpy(again.objective.count)) == 10.0
    again.evaluate(x, verbose=0)
    assert again.objective.dataset_size is None


def test_a_code_whose_dimensions_have_no_density_of_their_own_is_refused():
    with pytest.raises(UsageError, match="a Cubic has none.*kelbo.InfoVAE"):
        kinds.MODELS["flow"]().objective = kelbo.BetaTC()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampling": "exact"}, "'stratified' or 'weighted', received 'exact'"),
        ({"dataset_size": 0}, "dataset_size of at least 1, received 0"),
        ({"dataset_size": 2.5}, "whole number"),
        ({"beta": -1.0}, "beta is expected"),
    ],
)
def test_what_is_no_argument_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        kelbo.BetaTC(**arguments)
