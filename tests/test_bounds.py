import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

import kelbo
from kelbo import bounds
from tests.support import UntabledPrior, data, randomise, tiny_ae, tiny_vae, to_numpy

sizes = st.integers(1, 20_000)


@given(sizes, sizes, sizes)
def test_the_passes_cover_all_samples_and_bound_the_memory(num_samples, batch_size, rows):
    size = bounds.samples_in_one_pass(num_samples, batch_size, rows)
    passes = -(-num_samples // size)
    assert size * batch_size <= max(rows, batch_size)
    # No more passes than need be, and in all of them fewer samples too many than there are passes.
    assert passes == -(-num_samples // max(1, rows // batch_size))
    assert 0 <= passes * size - num_samples < passes


def log_weights_of_chunks(vae, x, seed, num_samples, chunk):
    """The draws that the loop makes for one batch, chunk by chunk and not reduced."""
    keys = np.random.default_rng(seed).integers(2**31 - 1, size=(-(-num_samples // chunk), 2))
    keys = keys.astype(vae.seed_generator.state.dtype)
    traces = [
        vae.sampled_trace(x, chunk, bounds.ChunkSeed(keras.ops.convert_to_tensor(key)))
        for key in keys
    ]
    return np.concatenate([to_numpy(trace.log_weights) for trace in traces])[:num_samples]


@pytest.mark.parametrize(("num_samples", "rows"), [(5000, 2000), (60, 28), (5, 1), (3, 1000)])
def test_the_loop_agrees_with_the_sum_in_float64(num_samples, rows):
    vae = tiny_vae("gaussian")
    randomise(vae, scale=1.5)  # so that the weights differ by many orders of magnitude
    chunk = bounds.samples_in_one_pass(num_samples, 4, rows)
    bound = vae.log_likelihood(data(4), num_samples, batch_size=4, seed=7, rows_per_pass=rows)
    log_weights = log_weights_of_chunks(vae, data(4), 7, num_samples, chunk)
    expected = logsumexp(log_weights, axis=0) - np.log(num_samples)
    np.testing.assert_allclose(bound, expected, atol=5e-5)


def test_every_chunk_and_every_batch_draws_afresh():
    vae = tiny_vae()
    randomise(vae)
    log_weights = log_weights_of_chunks(vae, data(16), 0, 12, 5)
    assert len(np.unique(log_weights)) == 12 * 16
    same = np.repeat(data(1), 6, axis=0)
    assert len(np.unique(vae.log_likelihood(same, 3, batch_size=2))) == 6


def test_the_encoder_runs_once_a_batch_and_what_is_compiled_is_kept(monkeypatch):
    vae, runs = tiny_vae(), []
    encode = type(vae.posterior).call
    monkeypatch.setattr(
        type(vae.posterior),
        "call",
        lambda self, x, training: runs.append(len(x.shape)) or encode(self, x, training),
    )
    vae.log_likelihood(data(6), num_samples=6, batch_size=2, rows_per_pass=4)
    assert len(runs) == (3 if keras.backend.backend() == "torch" else 1)
    vae.log_likelihood(data(6), num_samples=6, batch_size=2, rows_per_pass=4)
    assert len(runs) == (6 if keras.backend.backend() == "torch" else 1)


def test_weights_that_change_are_seen():
    vae = tiny_vae()
    before = vae.log_likelihood(data(3), 5)
    randomise(vae)
    after = vae.log_likelihood(data(3), 5)
    fresh = tiny_vae()
    randomise(fresh)
    assert np.all(before != after)
    np.testing.assert_allclose(after, fresh.log_likelihood(data(3), 5), rtol=1e-6)


def test_the_statistics_are_batch_first_and_those_of_the_model():
    vae = tiny_vae()
    randomise(vae)
    parts = list(bounds.statistics(vae, [data(5)[:3], data(5)[3:]], 500, 3, 0, 300))
    shapes = {name: value.shape for name, value in parts[0].items()}
    names = {"reconstruction": (3,), "bound": (3,), "mean": (3, 2), "kl_per_dimension": (3, 2)}
    assert shapes == names
    values = {name: np.concatenate([part[name] for part in parts]) for name in names}
    np.testing.assert_allclose(values["mean"], vae.encode(data(5))["mu"], rtol=1e-5)
    kl = to_numpy(vae.trace(data(5)).kl)
    np.testing.assert_allclose(values["kl_per_dimension"].sum(axis=1), kl, rtol=1e-5)
    log_px_z = to_numpy(vae.sampled_trace(data(5), 500, 1).log_px_z)
    error = np.abs(values["reconstruction"] - log_px_z.mean(axis=0))
    assert np.all(error < 4.5 * log_px_z.std(axis=0) * np.sqrt(2 / 500))


def test_an_autoencoder_has_a_reconstruction_and_no_bound():
    (part,) = bounds.statistics(tiny_ae(), [data(3)], 1, 3, 0)
    assert {name: value.shape for name, value in part.items()} == {
        "reconstruction": (3,),
        "mean": (3, 2),
    }


def test_in_chunks_the_bound_follows_the_law_of_the_direct_formula():
    vae = tiny_vae("gaussian")
    randomise(vae, scale=1.0)
    x = np.repeat(data(1), 1000, axis=0)
    log_weights = to_numpy(vae.sampled_trace(x[:1], 12_000, 5).log_weights).reshape(1000, 12)
    direct = logsumexp(log_weights, axis=1) - np.log(12)
    assert bounds.samples_in_one_pass(12, 500, 2500) == 4
    chunked = vae.log_likelihood(x, num_samples=12, batch_size=500, rows_per_pass=2500)
    assert stats.ks_2samp(direct, chunked).pvalue > 1e-3
    # Chunks that repeated their draws would have the law of 4 samples, which is another.
    four = logsumexp(log_weights[:, :4], axis=1) - np.log(4)
    assert stats.ks_2samp(four, chunked).pvalue < 1e-3


def test_the_bound_needs_no_closed_form():
    tabled = tiny_vae()
    untabled = kelbo.VAE(tabled.posterior, tabled.likelihood, UntabledPrior())
    x = data(4)
    np.testing.assert_allclose(
        untabled.log_likelihood(x, num_samples=5),
        tabled.log_likelihood(x, num_samples=5),
        rtol=1e-5,
    )
