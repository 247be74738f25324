import keras
import numpy as np
import pytest
from scipy import stats

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import mlp_decoder
from tests.support import LATENT, LIKELIHOODS, SHAPE, Gradient, data, randomise, tiny_vae, to_numpy


def log_px_z(vae, x, variance):
    """The log-likelihood of the trace, and scipy's with a variance from the parameters."""
    parameters = vae(x)
    mu = to_numpy(parameters["likelihood"]["mu"])
    sigma = np.sqrt(variance(parameters["likelihood"]))
    return to_numpy(vae.trace(x, parameters).log_px_z), stats.norm.logpdf(x, mu, sigma).sum(
        axis=(1, 2, 3)
    )


@pytest.mark.parametrize("variance", [0.01, 1, 2.5])
def test_a_fixed_variance_is_the_normal_s(variance):
    decoder = mlp_decoder(SHAPE, LATENT, None, (5,))
    vae = kelbo.VAE(tiny_vae().posterior, kelbo.GaussianLikelihood(decoder, variance), seed=0)
    value, expected = log_px_z(vae, data(4), lambda parameters: variance)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert vae.likelihood.count_params() == decoder.count_params()


def test_a_shared_variance_is_one_weight_that_starts_at_one():
    vae = tiny_vae("gaussian-shared")
    (log_var,) = (w for w in vae.likelihood.trainable_weights if w.path.endswith("log_var"))
    assert (log_var.shape, to_numpy(log_var)) == ((), 0.0)
    log_var.assign(-1.5)
    value, expected = log_px_z(vae, data(4), lambda parameters: np.exp(-1.5))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_a_variance_per_pixel_is_the_network_s_second_output():
    vae = tiny_vae("gaussian-per-pixel")
    randomise(vae)
    x = data(4)
    mu, log_var = vae.likelihood.network(vae(x)["z"])
    assert not np.allclose(to_numpy(mu), to_numpy(log_var))
    value, expected = log_px_z(vae, x, lambda parameters: np.exp(to_numpy(parameters["log_var"])))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_shared_variance_learns_the_residual_variance():
    vae = tiny_vae("gaussian-shared", objective=kelbo.ELBO(beta=0.0))
    for weight in (*vae.posterior.trainable_weights, *vae.likelihood.network.trainable_weights):
        weight.assign(0.0 * weight)
    vae.posterior.trainable = vae.likelihood.network.trainable = False
    x = (0.3 * np.random.default_rng(0).standard_normal((256, *SHAPE))).astype("float32")
    vae.compile(keras.optimizers.Adam(0.1))
    for _ in range(150):
        vae.train_on_batch(x)
    # The frozen mean is 0, so the maximum-likelihood variance is the mean square.
    assert np.exp(to_numpy(vae.likelihood.log_var)) == pytest.approx(np.mean(x**2), rel=0.01)


@pytest.mark.parametrize("variance", [0.0, -1.0, np.inf, np.nan, "diagonal", None, True])
def test_what_is_no_variance_is_refused(variance):
    with pytest.raises(UsageError, match="> 0, 'shared', 'optimal' or 'per-pixel', received"):
        kelbo.GaussianLikelihood(mlp_decoder(SHAPE, LATENT), variance)


@pytest.mark.parametrize("variance", [2, np.float32(2.0)])
def test_every_kind_of_number_is_a_variance(variance):
    assert kelbo.GaussianLikelihood(mlp_decoder(SHAPE, LATENT), variance).variance == 2.0


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if name.startswith("gaussian")])
def test_the_decoder_is_the_mean_in_the_data_s_own_units(name):
    likelihood = tiny_vae(name).likelihood
    z = np.ones((2, LATENT), "float32")
    np.testing.assert_allclose(
        to_numpy(likelihood.decoder()(z)), to_numpy(likelihood(z)["mu"]), rtol=1e-6
    )


def optimal_vae():
    decoder = mlp_decoder(SHAPE, LATENT, None, (5,))
    return kelbo.VAE(tiny_vae().posterior, kelbo.GaussianLikelihood(decoder, "optimal"), seed=0)


@pytest.mark.usefixtures("fixed_noise")
def test_the_optimal_variance_of_a_step_is_the_batch_s_mean_squared_error():
    vae, x, dim = optimal_vae(), data(8), 6
    randomise(vae)
    vae.compile(keras.optimizers.SGD(0.0))
    mu = to_numpy(vae(x)["likelihood"]["mu"])
    mse = np.mean((x - mu) ** 2)
    logs = vae.train_on_batch(x, return_dict=True)
    # With the optimum the squared errors are dim in the mean, whatever they are.
    assert logs["reconstruction"] == pytest.approx(
        -0.5 * dim * (np.log(2 * np.pi * mse) + 1.0), rel=1e-5
    )
    assert np.exp(float(vae.likelihood.average_log_var)) == pytest.approx(mse, rel=1e-4)


@pytest.mark.usefixtures("fixed_noise")
def test_the_optimal_variance_has_the_gradient_of_a_fixed_one():
    vae, x = optimal_vae(), data(8)
    randomise(vae)
    mse = float(np.mean((x - to_numpy(vae(x)["likelihood"]["mu"])) ** 2))
    decoder = vae.likelihood.network
    fixed = kelbo.VAE(vae.posterior, kelbo.GaussianLikelihood(decoder, mse), seed=0)
    before, found = [to_numpy(weight) for weight in vae.trainable_weights], []
    for model in (fixed, vae):
        model.compile(Gradient())
        for weight, value in zip(model.trainable_weights, before, strict=True):
            weight.assign(value)
        model.train_on_batch(x)
        found.append([to_numpy(weight) for weight in model.trainable_weights])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


def test_a_second_decoding_in_a_step_has_the_variance_of_the_first():
    vae, x = optimal_vae(), data(8)
    randomise(vae)
    others = data(8, seed=2) / 4.0
    vae.fitted(others, vae(others, training=True))  # so that the average is not the step's own
    trace = vae.trace(x, vae.fitted(x, vae(x, training=True)))
    again = trace.log_likelihood(trace.decode(trace.z))
    np.testing.assert_allclose(to_numpy(again), to_numpy(trace.log_px_z), rtol=1e-5)


def test_evaluation_has_one_variance_whatever_the_batch():
    vae = optimal_vae()
    x = data(12)
    assert float(vae.likelihood.average_log_var) == 0.0  # nothing was seen
    vae.compile(keras.optimizers.SGD(0.0))
    for scale in (1.0, 3.0):
        vae.train_on_batch(scale * x)
    squared_error, seen = to_numpy(vae.likelihood.squared_error), to_numpy(vae.likelihood.seen)
    assert seen == pytest.approx(0.01 * (1.0 + 0.99), rel=1e-5)
    variance = squared_error / seen
    value, expected = log_px_z(vae, x, lambda parameters: variance)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    vae.evaluate(x, verbose=0)
    vae.log_likelihood(x[:2], num_samples=2)
    assert to_numpy(vae.likelihood.squared_error) == squared_error
    vae.likelihood.trainable = False
    vae.compile(keras.optimizers.SGD(0.0))
    vae.train_on_batch(9.0 * x)
    assert to_numpy(vae.likelihood.squared_error) == squared_error


def test_a_perfect_batch_leaves_the_variance_above_0():
    vae, x = optimal_vae(), np.zeros((4, *SHAPE), "float32")
    for weight in vae.likelihood.network.trainable_weights:
        weight.assign(0.0 * weight)
    vae.compile("adam")
    logs = vae.train_on_batch(x, return_dict=True)
    assert logs["reconstruction"] == pytest.approx(-3.0 * (np.log(2 * np.pi) - 12.0), rel=1e-5)
    assert float(vae.likelihood.average_log_var) == pytest.approx(-12.0)
