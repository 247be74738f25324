import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp

import kelbo
from kelbo.errors import UsageError
from tests.support import Gradient, data, randomise, tiny_vae, to_numpy, weights


class NormalisedWeights(kelbo.IWAE):
    """Its gradient is sum_k w_k / sum(w) grad log w_k: Burda et al. 2016, equation 13."""

    def terms(self, trace):
        weight = ops.exp(trace.log_weights - ops.max(trace.log_weights, axis=0))
        share = ops.stop_gradient(weight / ops.sum(weight, axis=0))
        surrogate = ops.sum(share * trace.log_weights, axis=0)
        return {**super().terms(trace), "loss": -surrogate}


def gradients(objective):
    vae = tiny_vae("gaussian-shared", objective)
    randomise(vae, scale=1.0)
    vae.compile(Gradient())
    vae.train_on_batch(data(4))
    return [to_numpy(weight) for weight in vae.trainable_weights]


@pytest.mark.parametrize("k", [1, 2, 9])
def test_the_gradient_weighs_each_sample_by_its_share(fixed_noise, k):
    bound, shares = gradients(kelbo.IWAE(k)), gradients(NormalisedWeights(k))
    for one, other in zip(bound, shares, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_the_terms_are_those_of_the_trace():
    vae = tiny_vae()
    randomise(vae)
    trace = vae.sampled_trace(data(3), 6, 0)
    terms = {name: to_numpy(value) for name, value in kelbo.IWAE(6).terms(trace).items()}
    log_weights = to_numpy(trace.log_px_z) + to_numpy(trace.log_pz) - to_numpy(trace.log_qz_x)
    expected = logsumexp(log_weights, axis=0) - np.log(6)
    np.testing.assert_allclose(terms["iwae"], expected, rtol=1e-6)
    np.testing.assert_array_equal(terms["loss"], -terms["iwae"])
    reconstruction = to_numpy(trace.log_px_z).mean(axis=0)
    np.testing.assert_allclose(terms["elbo"], reconstruction - to_numpy(trace.kl), rtol=1e-5)


def test_trains_with_sample_weights_and_goes_on_after_a_reload(tmp_path):
    vae = tiny_vae(objective=kelbo.IWAE(5))
    vae.compile(keras.optimizers.Adam(0.01))
    x, weight = data(12), np.arange(12, dtype="float32")
    history = vae.fit(x, sample_weight=weight, batch_size=4, epochs=2, verbose=0).history
    assert set(history) == {"loss", "elbo", "iwae", "reconstruction", "kl"}
    vae.save(tmp_path / "vae.keras")
    again = kelbo.load_model(tmp_path / "vae.keras")
    assert again.objective.num_samples == 5
    assert again.effective_beta == 1.0
    for model in (vae, again):
        model.fit(x, batch_size=4, shuffle=False, verbose=0)
    for one, other in zip(weights(vae), weights(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_datum_of_weight_zero_does_not_count(fixed_noise):
    x = data(4)
    logs = []
    for other in (0.0, 1.0):
        x[2:] = other
        vae = tiny_vae(objective=kelbo.IWAE(3))
        randomise(vae)
        vae.compile("sgd")
        weight = np.float32([1, 1, 0, 0])
        logs.append(vae.train_on_batch(x, x, weight, return_dict=True))
    for name in ("loss", "iwae", "elbo"):
        assert logs[0][name] == pytest.approx(logs[1][name], rel=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a scan of JAX")
def test_stays_on_the_device_with_the_same_result():
    trained = []
    for resident in (True, False):
        vae = tiny_vae(objective=kelbo.IWAE(4))
        randomise(vae)
        vae.compile(keras.optimizers.SGD(0.01))
        history = vae.fit(
            data(10), batch_size=4, shuffle=False, epochs=2, verbose=0, resident=resident
        )
        trained.append((weights(vae), history.history["iwae"]))
    np.testing.assert_allclose(trained[0][1], trained[1][1], rtol=1e-5)
    for one, other in zip(trained[0][0], trained[1][0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", [0, -1, 2.0, "5", None])
def test_what_is_no_number_of_samples_is_refused(k):
    with pytest.raises(UsageError, match="at least 1, received num_samples="):
        kelbo.IWAE(k)
