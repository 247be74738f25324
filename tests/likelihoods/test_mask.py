"""What is not observed counts nothing: neither in the loss nor in its gradient, whatever it is."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kelbo
from kelbo.errors import DataError, UsageError
from tests.likelihoods.cases import CASES
from tests.support import LATENT, Gradient, randomise, to_numpy

# What stands in a cell that is not observed.
MISSING = 1e6
ANYTHING = (np.nan, np.inf, -np.inf, 2e6)


def is_observed(x):
    return ops.abs(x) < MISSING  # which NaN is not


@keras.saving.register_keras_serializable("kelbo-tests")
class Filled(layers.Layer):
    """0 in the place of what is not observed."""

    def call(self, x):
        return ops.where(is_observed(x), x, 0.0)


@keras.saving.register_keras_serializable("kelbo-tests")
class OfCells(kelbo.GaussianPosterior):
    """A posterior that says of each cell whether it is observed."""

    def observed(self, x):
        return is_observed(ops.convert_to_tensor(x))


def vae_of(case):
    encoder = keras.Sequential(
        [keras.Input(case.shape), Filled(), layers.Flatten(), layers.Dense(5, "tanh")]
    )
    vae = kelbo.VAE(OfCells(encoder, LATENT), case.likelihood(), seed=0)
    randomise(vae)
    return vae


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize(
    "name",
    [
        "gaussian-optimal",
        "student-t",
        "log-normal-network",
        "beta",
        "zero-inflated-negative-binomial",
        "categorical",
        "ordinal",
        "discretised-logistic",
        "product",
    ],
)
def test_a_masked_cell_may_be_anything(name):
    case = CASES[name]
    vae, x = vae_of(case), case.data(8)
    masked = np.random.default_rng(5).random(x.shape) < 0.4
    masked[0] = True  # a row of which nothing is known
    before = [to_numpy(weight) for weight in vae.trainable_weights]
    vae.compile(Gradient())
    seen = []
    for anything in ANYTHING:
        for weight, value in zip(vae.trainable_weights, before, strict=True):
            weight.assign(value)
        logs = vae.train_on_batch(np.where(masked, anything, x), return_dict=True)
        seen.append((logs, [to_numpy(weight) for weight in vae.trainable_weights]))
    logs, gradients = seen[0]
    assert all(np.isfinite(value) for value in logs.values())
    assert all(np.isfinite(each).all() for each in gradients)
    assert any(np.abs(each).max() > 0.0 for each in gradients)
    for other, others in seen[1:]:
        assert other == logs
        for one, another in zip(gradients, others, strict=True):
            np.testing.assert_array_equal(another, one)
    bound = vae.log_likelihood(np.where(masked, np.nan, x).astype("float32"), num_samples=3)
    assert np.isfinite(bound).all()


def test_what_is_observed_counts_as_ever():
    case = CASES["log-normal"]
    vae, x = vae_of(case), case.data(6)
    masked = np.random.default_rng(5).random(x.shape) < 0.4
    with_holes = np.where(masked, np.nan, x).astype("float32")
    passed = vae.draw(with_holes, vae.encode_once(with_holes), (2,), seed=0)
    px_z = vae.likelihood.distribution(passed["likelihood"])
    each = to_numpy(px_z.log_prob_per_dimension(x))
    np.testing.assert_allclose(
        to_numpy(vae.trace(with_holes, passed).log_px_z),
        np.where(masked, 0.0, each).sum(axis=(2, 3, 4)),
        rtol=1e-5,
    )


def test_a_target_may_be_anything_where_the_encoder_masks_x():
    case = CASES["log-normal"]
    vae, x = vae_of(case), case.data(8)
    target = x.copy()
    x[2, 1], target[2, 1] = np.nan, -3.0
    vae.compile("adam")
    logs = vae.train_on_batch(x, target, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    with pytest.raises(DataError, match="LogNormalLikelihood expects"):
        vae.train_on_batch(case.data(8), target)


def test_what_depends_on_the_rest_of_a_datum_cannot_be_left_out():
    case = CASES["mixture-colours"]
    with pytest.raises(UsageError, match="cannot leave out part of a datum"):
        vae_of(case).trace(case.data(2))
