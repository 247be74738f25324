import keras
import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from kelbo.objectives.objective import elbo_terms
from tests import kinds
from tests.support import (
    LATENT,
    LIKELIHOODS,
    UntabledPrior,
    data,
    randomise,
    tiny_ae,
    tiny_vae,
    to_numpy,
)

X = data(3)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_px_z_plus_log_pz_minus_log_qz_x_averages_to_the_elbo(name):
    vae = tiny_vae(name)
    randomise(vae)
    trace = vae.sampled_trace(X, 20_000, 1)
    sampled = to_numpy(trace.log_px_z + trace.log_pz - trace.log_qz_x)
    terms = {term: to_numpy(value) for term, value in elbo_terms(trace).items()}
    # The difference is the sampled KL's own error.
    noise = to_numpy(trace.log_qz_x - trace.log_pz).std(axis=0) / np.sqrt(20_000)
    assert sampled.shape == (20_000, 3)
    assert np.all(np.abs(sampled.mean(axis=0) - terms["elbo"]) < 4.0 * noise + 1e-4)
    np.testing.assert_allclose(terms["elbo"], terms["reconstruction"] - terms["kl"], rtol=1e-6)


def test_a_trace_of_many_samples_is_as_many_traces_of_one():
    vae = tiny_vae("gaussian-per-pixel")
    randomise(vae)
    encoded = vae.encode_once(X)
    z = np.random.default_rng(0).standard_normal((4, 3, LATENT)).astype("float32")

    def trace(z):
        z = keras.ops.convert_to_tensor(z)
        drawn = {"z": z, "likelihood": vae.likelihood(z)}
        return vae.trace(X, {**encoded, **drawn})

    together = trace(z)
    for name in ("log_px_z", "log_pz", "log_qz_x"):
        one_by_one = [to_numpy(getattr(trace(z[k]), name)) for k in range(4)]
        np.testing.assert_allclose(
            to_numpy(getattr(together, name)), one_by_one, rtol=1e-5, atol=1e-6
        )
    assert together.kl.shape == (3,)


def test_has_a_kl_by_sampling_where_there_is_no_closed_form():
    vae, untabled = tiny_vae(), tiny_vae(prior=UntabledPrior())
    for model in (vae, untabled):
        randomise(model)
    exact = to_numpy(vae.trace(X).kl)
    trace = untabled.sampled_trace(X, 20_000, 1)
    sampled = to_numpy(trace.kl)
    np.testing.assert_allclose(sampled, to_numpy(trace.log_qz_x - trace.log_pz))
    assert np.all(np.abs(sampled.mean(axis=0) - exact) < 4 * sampled.std(axis=0) / np.sqrt(20_000))
    np.testing.assert_allclose(to_numpy(elbo_terms(trace)["kl"]), sampled.mean(axis=0), rtol=1e-4)


def test_takes_z_from_the_posterior_of_its_own_datum():
    vae = tiny_vae()
    randomise(vae)
    trace = vae.sampled_trace(X, 20_000, 1)
    z, sigma = to_numpy(trace.z), np.exp(0.5 * to_numpy(trace.q.log_var))
    assert z.shape == (20_000, 3, LATENT)
    assert np.all(np.abs(z.mean(axis=0) - to_numpy(trace.q.mu)) < 4.5 * sigma / np.sqrt(20_000))
    np.testing.assert_allclose(z.std(axis=0), sigma, rtol=0.03)


def test_of_an_autoencoder_has_no_density_on_z():
    trace = tiny_ae().trace(X)
    assert (trace.p, trace.log_pz, trace.log_qz_x, trace.kl) == (None,) * 4
    assert trace.log_px_z.shape == (3,)
    np.testing.assert_array_equal(to_numpy(trace.z), to_numpy(trace.q.mean()))


def test_makes_its_own_pass_as_call_does():
    vae, other = tiny_vae(seed=3), tiny_vae(seed=3)
    other.set_weights([to_numpy(w).astype(w.dtype) for w in vae.weights])
    np.testing.assert_allclose(to_numpy(vae.trace(X).z), to_numpy(other(X)["z"]), rtol=1e-6)


def test_the_parts_run_again_give_what_the_trace_has():
    vae = tiny_vae("gaussian-shared")
    randomise(vae)
    trace = vae.sampled_trace(X, 4, 0)
    again = trace.log_likelihood(trace.decode(trace.z))
    np.testing.assert_allclose(to_numpy(again), to_numpy(trace.log_px_z), rtol=1e-6)
    q = trace.encode(trace.x)
    np.testing.assert_allclose(to_numpy(q.mean()), to_numpy(trace.q.mean()), rtol=1e-6)
    assert len(trace.decoder_weights) == len(vae.likelihood.trainable_weights)


def test_a_ladder_does_not_run_its_parts_again():
    model = kinds.ladder()
    trace = model.trace(kinds.inputs("two-groups", 4))
    with pytest.raises(UsageError, match="a second time.*Use kelbo.VAE or kelbo.AE"):
        trace.encode(trace.x)
    with pytest.raises(UsageError, match="2 groups of latents"):
        kelbo.IWAE(2, "stl").terms(trace)
