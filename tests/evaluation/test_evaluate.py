import json

import keras
import numpy as np
import pytest

import kelbo
from kelbo.data import from_arrays
from kelbo.errors import DataError, DivergedError, UsageError
from kelbo.evaluation.activity import ACTIVE_ABOVE
from kelbo.evaluation.annealed import Annealing
from kelbo.evaluation.evaluate import evaluate
from kelbo.networks import mlp_decoder, mlp_encoder
from tests.support import DIM, SHAPE, UntabledPrior, randomise, tiny_ae, tiny_vae


def images(n=30, binarization="none"):
    x = np.random.default_rng(0).random((2 * n, *SHAPE), "float32")
    return from_arrays(x[:n], x[n:]).binarized(binarization)


@pytest.fixture(scope="module")
def model():
    """Weights so small that q(z|x) is nearly p(z|x): the estimates then have little noise."""
    model = tiny_vae()
    randomise(model, scale=0.2)
    return model


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-shared"])
def test_the_bounds_are_in_order(likelihood):
    model = tiny_vae(likelihood)
    randomise(model)
    bounds = []
    for samples in (1, 50):
        figures = evaluate(model, images(), num_samples=samples)
        assert figures["elbo"] == pytest.approx(
            figures["reconstruction"] - figures["kl"], rel=1e-12
        )
        assert figures["kl"] == pytest.approx(sum(figures["kl_per_dimension"]), rel=1e-12)
        if samples > 1:
            assert figures["elbo"] < figures["importance_weighted_bound"]
        bounds.append(figures["importance_weighted_bound"])
    assert bounds[0] < bounds[1]
    json.dumps(figures, allow_nan=False)


def test_the_figures_are_those_of_the_equation(model):
    """Against NumPy, from the encoder's and the decoder's own outputs."""
    data = images()
    x = data.test.reshape(len(data.test), DIM).astype("float64")
    q = {name: value.astype("float64") for name, value in model.encode(data.test).items()}
    mu, log_var = q["mu"], q["log_var"]
    kl = 0.5 * (np.exp(log_var) + mu**2 - 1 - log_var)
    draws = np.random.default_rng(5).standard_normal((2000, *mu.shape))
    z = mu + np.exp(log_var / 2) * draws
    p = model.decode(z.reshape(-1, mu.shape[1])).reshape(2000, *x.shape).astype("float64")
    log_px_z = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=-1)
    log_w = log_px_z + 0.5 * (draws**2 + log_var - z**2).sum(axis=-1)
    figures = evaluate(model, data, num_samples=2000)
    np.testing.assert_allclose(figures["kl_per_dimension"], kl.mean(axis=0), rtol=1e-4)
    assert figures["reconstruction"] == pytest.approx(log_px_z.mean(), abs=0.02)
    assert figures["importance_weighted_bound"] == pytest.approx(
        np.log(np.exp(log_w).mean(axis=0)).mean(), abs=0.02
    )
    np.testing.assert_allclose(figures["activity"], mu.var(axis=0), rtol=1e-4)


@pytest.mark.parametrize("batch_size", [7, 5000])
def test_the_size_of_a_batch_does_not_matter(model, batch_size):
    one = evaluate(model, images(), num_samples=1000, batch_size=100)
    other = evaluate(model, images(), num_samples=1000, batch_size=batch_size)
    for name in ("kl", "kl_per_dimension", "activity", "floors"):
        assert other[name] == pytest.approx(one[name], rel=1e-5)
    # 30 images times 1000 draws leave less than this of the Monte Carlo error.
    for name in ("elbo", "reconstruction", "importance_weighted_bound"):
        assert other[name] == pytest.approx(one[name], abs=0.05)


def test_active_dimensions_are_those_whose_mean_varies():
    """q(z|x) has means that are known multiples of the pixels: Burda et al. 2016, section 5."""
    inputs = keras.Input((2, 1, 1))
    features = keras.layers.Flatten()(inputs)
    mu, log_var = (keras.layers.Dense(4, name=name) for name in ("mean", "log_variance"))
    network = keras.Model(inputs, [mu(features), log_var(features)])
    # Black or white pixels in equal parts have a variance of 1/4.
    above, below = (2 * (ACTIVE_ABOVE * factor) ** 0.5 for factor in (1.02, 0.98))
    mu.set_weights([np.array([[0, 1, above, 0], [0, 0, 0, below]]), np.array([7.0, 0, 0, 0])])
    # The second dimension alone is not narrow: that does not make it active, nor the others not.
    log_var.set_weights([np.zeros((2, 4)), np.array([-8.0, 0, -8, -8])])
    model = kelbo.VAE(
        kelbo.GaussianPosterior(network),
        kelbo.BernoulliLikelihood(mlp_decoder((2, 1, 1), 4, hidden_units=(3,))),
    )
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], bool).reshape(4, 2, 1, 1)
    figures = evaluate(model, from_arrays(x, x), num_samples=1)
    np.testing.assert_allclose(figures["activity"], [0, 0.25, 0.0102, 0.0098], atol=1e-7)
    assert figures["active_dimensions"] == [1, 2]
    assert figures["active_units"] == 2


@pytest.mark.parametrize("binarization", ["none", "static", "dynamic", "threshold"])
def test_evaluating_again_gives_the_same(model, binarization):
    one, other = (evaluate(model, images(binarization=binarization)) for _ in range(2))
    assert one == other
    assert ("pixel_entropy" in one["floors"]) == (binarization == "none")
    not_black_and_white = any("not a log-likelihood" in note for note in one["notes"])
    assert not_black_and_white == (binarization == "none")


@pytest.mark.parametrize("channels, cure", [(1, "--binarize dynamic"), (3, "--likelihood")])
def test_grey_pixels_have_a_cure_and_coloured_ones_have_theirs(channels, cure):
    x = np.random.default_rng(0).random((8, 2, 2, channels), "float32")
    network = mlp_encoder((2, 2, channels), (3,))
    decoder = mlp_decoder((2, 2, channels), 2, hidden_units=(3,))
    model = kelbo.VAE(kelbo.GaussianPosterior(network, 2), kelbo.BernoulliLikelihood(decoder))
    (note,) = (
        note
        for note in evaluate(model, from_arrays(x, x), num_samples=1)["notes"]
        if "not a log-likelihood" in note
    )
    assert cure in note
    assert ("--binarize" in note) == (channels == 1)


def test_the_draws_have_a_seed(model):
    assert evaluate(model, images(), seed=1)["elbo"] != evaluate(model, images(), seed=2)["elbo"]


def test_standard_errors_are_those_of_the_mean_over_the_images(model):
    data = images()
    figures = evaluate(model, data, num_samples=500)
    bound = model.log_likelihood(data.test, num_samples=500)
    expected = bound.std(ddof=1) / 30**0.5
    assert figures["importance_weighted_bound_error"] == pytest.approx(expected, rel=0.05)
    assert figures["elbo_error"] == pytest.approx(expected, rel=0.3)
    assert "elbo_error" not in evaluate(model, from_arrays(data.train, data.test[:1]))


def test_bits_per_dimension_are_of_discrete_data_alone(model):
    black_and_white = evaluate(model, images(binarization="threshold"))
    nats = black_and_white["importance_weighted_bound"]
    assert black_and_white["bits_per_dimension"] == pytest.approx(-nats / DIM / np.log(2.0))
    error = black_and_white["importance_weighted_bound_error"] / DIM / np.log(2.0)
    assert black_and_white["bits_per_dimension_error"] == pytest.approx(error)
    assert "bits_per_dimension" not in evaluate(model, images())
    gaussian = tiny_vae("gaussian")
    assert "bits_per_dimension" not in evaluate(gaussian, images(binarization="threshold"))


def test_annealed_importance_sampling_is_beside_the_bound_on_the_same_images(model):
    data = images(binarization="threshold")
    shares = []
    figures = evaluate(
        model,
        data,
        num_samples=200,
        annealing=Annealing(chains=8, temperatures=20, images=5),
        on_annealing=shares.append,
    )
    chosen = data.test[[0, 7, 14, 21, 29]]
    expected = model.log_likelihood(chosen, num_samples=2000).mean()
    assert figures["ais_bound"] == pytest.approx(expected, abs=0.05)
    assert figures["ais_log_likelihood"] == pytest.approx(expected, abs=0.1)
    assert figures["bdmc_lower"] < figures["bdmc_upper"] + 0.1
    assert (figures["ais_images"], figures["ais_chains"]) == (5, 8)
    assert figures["ais_error"] > 0 and figures["bdmc_error"] > 0
    assert shares[-1] == 1.0 and shares == sorted(shares)
    with pytest.raises(UsageError, match="Expected images to be"):
        evaluate(model, data, annealing=Annealing(1, 1, 0))


def test_an_autoencoder_has_its_reconstruction_alone():
    model = tiny_ae()
    model.compile()
    data = images()
    figures = evaluate(model, data, batch_size=7)
    named = {"images", "unit", "reconstruction", "mse", "psnr", "floors", "notes"}
    assert set(figures) == named
    p = model.reconstruct(data.test).astype("float64")
    expected = (data.test * np.log(p) + (1 - data.test) * np.log(1 - p)).sum(axis=(1, 2, 3))
    assert figures["reconstruction"] == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize(
    "likelihood, floors",
    [
        ("bernoulli", {"independent_pixels", "pixel_entropy"}),
        ("continuous-bernoulli", {"independent_pixels"}),
        ("gaussian", {"independent_pixels"}),
        ("gaussian-per-pixel", set()),  # each image has variances of its own
    ],
)
def test_floors_are_those_of_the_likelihood(likelihood, floors):
    model = tiny_vae(likelihood)
    randomise(model)
    assert set(evaluate(model, images(), num_samples=1).get("floors", {})) == floors


def test_every_image_is_counted_once(model):
    done = []
    figures = evaluate(model, images(), batch_size=8, on_progress=done.append)
    assert figures["images"] == 30
    assert done == [8, 16, 24, 30]


def test_what_is_wrong_is_refused(model):
    with pytest.raises(UsageError, match="batch_size >= 1, received 0"):
        evaluate(model, images(), batch_size=0)
    with pytest.raises(UsageError, match="num_samples"):
        evaluate(model, images(), num_samples=0)
    with pytest.raises(DataError, match="Expected data of shape"):
        evaluate(model, from_arrays(np.zeros((4, 5, 5), "float32")))


def test_figures_that_are_not_finite_are_refused():
    model = tiny_vae()
    weights = [np.full(weight.shape, np.nan) for weight in model.trainable_weights]
    for weight, value in zip(model.trainable_weights, weights, strict=True):
        weight.assign(value)
    with pytest.raises(DivergedError, match="elbo.*NaN or infinite.*learning rate"):
        evaluate(model, images())


def test_a_warm_up_that_is_not_finished_shows_the_beta_that_it_reached():
    data = images()
    model = tiny_vae(objective=kelbo.ELBO(kelbo.LinearWarmup(steps=10, beta=1.0)))
    model.compile("adam")
    model.fit(data.train, batch_size=10, epochs=1, verbose=0)  # three steps of ten
    figures = evaluate(model, data)
    assert figures["effective_beta"] == pytest.approx(0.3)
    assert "will end at 1" in figures["effective_beta_note"]


def test_without_a_closed_form_the_kl_is_estimated_from_the_draws():
    tabled = tiny_vae()
    randomise(tabled)
    untabled = kelbo.VAE(tabled.posterior, tabled.likelihood, UntabledPrior())
    exact, estimated = (evaluate(model, images(), num_samples=2000) for model in (tabled, untabled))
    assert "kl_per_dimension" not in estimated
    assert estimated["kl"] == pytest.approx(exact["kl"], abs=0.02)
    assert estimated["elbo"] == pytest.approx(estimated["reconstruction"] - estimated["kl"])


def test_a_model_worse_than_one_without_latents_is_told_so():
    one_pixel = np.eye(DIM, dtype="float32").reshape(DIM, *SHAPE)
    sparse = from_arrays(one_pixel, one_pixel)
    model = tiny_vae()  # untrained, each pixel costs it about log 2
    randomise(model)
    assert any("Worse than no latents" in note for note in evaluate(model, sparse)["notes"])
    model.likelihood.network.layers[-2].bias.assign(np.full(DIM, -1.6, "float32"))
    model.likelihood.network.layers[-2].kernel.assign(np.zeros((5, DIM), "float32"))
    for weight in model.posterior.trainable_weights:
        weight.assign(0.1 * weight)
    assert not any("Worse than" in note for note in evaluate(model, sparse)["notes"])
