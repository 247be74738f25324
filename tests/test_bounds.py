import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

import kelbo
from kelbo import bounds
from tests.support import UntabledPrior, data, randomise, tiny_vae, to_numpy


@given(st.integers(1, 20_000), st.integers(1, 10_000))
def test_chunks_cover_all_samples_and_bound_the_memory(num_samples, batch_size):
    chunks = bounds.chunks(num_samples, batch_size)
    assert sum(chunks) == num_samples
    assert len(set(chunks[:-1])) <= 1
    assert chunks[-1] <= chunks[0]
    assert chunks[0] * batch_size <= max(bounds.ROWS_IN_ONE_PASS, batch_size)
    # And no smaller than need be.
    assert chunks[0] == num_samples or (chunks[0] + 1) * batch_size > bounds.ROWS_IN_ONE_PASS


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_log_mean_exp_is_exact_where_exp_overflows(scale):
    log_weights = scale * np.random.default_rng(0).standard_normal((3, 50)).astype("float32")
    np.testing.assert_allclose(
        bounds.log_mean_exp(log_weights),
        logsumexp(log_weights.astype("float64"), axis=-1) - np.log(50),
        rtol=1e-12,
    )
    assert bounds.log_mean_exp(np.full((1, 4), -3.0))[0] == -3.0


@pytest.fixture
def passes(monkeypatch):
    """The log-weights of every pass, (n, samples in one pass)."""
    log_weights = []
    predict = bounds.TraceStatistics.predict

    def spy(self, x, **kwargs):
        values = predict(self, x, **kwargs)
        log_weights.append(values["log_weights"])
        return values

    monkeypatch.setattr(bounds.TraceStatistics, "predict", spy)
    return log_weights


def test_no_pass_decodes_more_rows_than_allowed(monkeypatch, passes):
    monkeypatch.setattr(bounds, "ROWS_IN_ONE_PASS", 8)
    tiny_vae().log_likelihood(data(3), num_samples=6, batch_size=2)
    assert [weights.shape for weights in passes] == [(3, 4), (3, 2)]


def test_every_pass_draws_afresh(monkeypatch, passes):
    monkeypatch.setattr(bounds, "ROWS_IN_ONE_PASS", 80)
    vae = tiny_vae()
    randomise(vae)
    bound = vae.log_likelihood(data(16), num_samples=12, batch_size=16)
    log_weights = np.concatenate(passes, axis=1)
    assert [weights.shape[1] for weights in passes] == [5, 5, 2]
    assert all(len(np.unique(row)) == 12 for row in log_weights)
    np.testing.assert_allclose(bound, bounds.log_mean_exp(log_weights), rtol=1e-12)


def test_the_statistics_of_a_trace_are_batch_first_and_add_up():
    vae = tiny_vae()
    randomise(vae)
    values = bounds.TraceStatistics(vae, 500, 0).predict(data(5), batch_size=2, verbose=0)
    shapes = {name: value.shape for name, value in values.items()}
    assert shapes == {"log_px_z": (5, 500), "log_weights": (5, 500), "kl": (5, 2), "mean": (5, 2)}
    np.testing.assert_allclose(values["mean"], vae.encode(data(5))["mu"], rtol=1e-5)
    np.testing.assert_allclose(values["kl"].sum(axis=1), to_numpy(vae.trace(data(5)).kl), rtol=1e-5)
    sampled_kl = values["log_px_z"] - values["log_weights"]
    error = np.abs(sampled_kl.mean(axis=1) - values["kl"].sum(axis=1))
    assert np.all(error < 4.5 * sampled_kl.std(axis=1) / np.sqrt(500))


def test_in_chunks_the_bound_follows_the_law_of_the_direct_formula(monkeypatch):
    vae = tiny_vae("gaussian")
    randomise(vae, scale=1.0)
    x = np.repeat(data(1), 1000, axis=0)
    trace = vae.sampled_trace(x[:1], 12_000, 5)
    log_weights = to_numpy(trace.log_px_z + trace.log_pz - trace.log_qz_x).reshape(1000, 12)
    direct = logsumexp(log_weights, axis=1) - np.log(12)
    monkeypatch.setattr(bounds, "ROWS_IN_ONE_PASS", 2500)
    assert bounds.chunks(12, 500) == [5, 5, 2]
    chunked = vae.log_likelihood(x, num_samples=12, batch_size=500)
    assert stats.ks_2samp(direct, chunked).pvalue > 1e-3
    # Chunks that repeated their draws would have the law of 5 samples, which is another.
    five = logsumexp(log_weights[:, :5], axis=1) - np.log(5)
    assert stats.ks_2samp(five, chunked).pvalue < 1e-3


def test_of_larger_data_fewer_are_decoded_at_once():
    assert bounds.chunks(100, 16, data_dim=784) == [100]
    assert bounds.chunks(100, 16, data_dim=96 * 96 * 3) == [3] * 33 + [1]
    assert bounds.chunks(100, 16, data_dim=6) == [100]


def test_the_bound_needs_no_closed_form():
    tabled = tiny_vae()
    untabled = kelbo.VAE(tabled.posterior, tabled.likelihood, UntabledPrior())
    x = data(4)
    np.testing.assert_allclose(
        untabled.log_likelihood(x, num_samples=5),
        tabled.log_likelihood(x, num_samples=5),
        rtol=1e-5,
    )
