"""What every likelihood promises: its shape, its support, its plain keras decoder."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kelbo
from kelbo.errors import DataError, UsageError
from kelbo.likelihoods import Likelihood
from kelbo.support import REAL, UNIT_INTERVAL
from tests.support import LATENT, LIKELIHOODS, SHAPE, data, tiny_vae, to_numpy

Z = np.random.default_rng(0).standard_normal((4, LATENT)).astype("float32")


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_decoder_gives_the_mean_of_the_distribution(name):
    likelihood = tiny_vae(name).likelihood
    mean = to_numpy(likelihood.distribution(likelihood(Z)).mean())
    decoder = likelihood.decoder()
    assert mean.shape == (4, *SHAPE)
    assert decoder.layers[-1].name == "dec_out"
    np.testing.assert_allclose(to_numpy(decoder(Z)), mean, rtol=1e-5, atol=1e-6)
    assert {w.path for w in decoder.weights} <= {w.path for w in likelihood.network.weights}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_prob_counts_every_dimension_once(name):
    likelihood = tiny_vae(name).likelihood
    distribution = likelihood.distribution(likelihood(Z))
    per_dimension = to_numpy(distribution.log_prob_per_dimension(data(4)))
    assert likelihood.event_rank == 3
    np.testing.assert_allclose(
        to_numpy(distribution.log_prob(data(4))), per_dimension.sum(axis=(1, 2, 3)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [
        ("bernoulli", 255.0 * data(4), "A BernoulliLikelihood expects .* divide them by 255"),
        ("continuous-bernoulli", 2.0 * data(4) - 1.0, r"use \(x \+ 1\) / 2"),
        ("gaussian", np.full((4, *SHAPE), np.nan), "NaN or infinite values in 4 of 4 rows"),
    ],
)
def test_data_outside_the_support_are_refused(name, x, message):
    with pytest.raises(DataError, match=message):
        tiny_vae(name).likelihood.check(x)


def test_the_cure_for_nan_leaves_the_clean_rows():
    x = data(4)
    x[2, 1, 0, 0] = np.nan
    x = x[np.isfinite(x).all(axis=tuple(range(1, x.ndim)))]
    assert len(x) == 3
    tiny_vae().likelihood.check(x)


def network(*steps):
    return keras.Sequential([keras.Input((LATENT,)), *steps])


@pytest.mark.parametrize("make", [kelbo.BernoulliLikelihood, kelbo.ContinuousBernoulliLikelihood])
@pytest.mark.parametrize("last", ["sigmoid", "softmax", "tanh", "relu", "hard_sigmoid", "softplus"])
def test_what_is_bounded_is_taken_for_no_logits(make, last):
    with pytest.raises(UsageError) as refused:
        make(network(layers.Dense(6, last, name="last")))
    message = str(refused.value)
    assert "Likelihood expected logits, which can be any real number, but the network" in message
    assert f"ends in the activation {last} of the layer 'last'" in message
    assert "Give the layer 'last' no activation (activation=None)." in message


def test_the_log_var_of_a_decoder_is_no_standard_deviation():
    z = keras.Input((LATENT,))
    mu, sigma = layers.Dense(6)(z), layers.Dense(6, "softplus", name="sigma")(z)
    with pytest.raises(UsageError, match="expected log_var.*softplus of the layer 'sigma'"):
        kelbo.GaussianLikelihood(keras.Model(z, [mu, sigma]), "per-pixel")
    clipped = ops.clip(layers.Dense(6)(z), -6.0, 2.0)  # as the doctor advises
    kelbo.GaussianLikelihood(keras.Model(z, [mu, clipped]), "per-pixel")


def test_a_gaussian_mean_may_end_in_a_sigmoid():
    likelihood = kelbo.GaussianLikelihood(network(layers.Dense(6, "sigmoid")))
    assert likelihood.event_shape == (6,)


@pytest.mark.parametrize(
    ("name", "outputs", "message"),
    [
        ("bernoulli", 2, r"1 output\(s\) of shape \(3, 2, 1\).*has 2, of shape \(3, 2, 1\) and"),
        ("gaussian-shared", 2, r"1 output\(s\)"),
        ("gaussian-per-pixel", 1, r"2 output\(s\) of shape"),
    ],
)
def test_a_decoder_with_another_number_of_outputs_is_refused(name, outputs, message):
    with pytest.raises(UsageError, match=message):
        LIKELIHOODS[name](kelbo.networks.mlp_decoder(SHAPE, LATENT, [SHAPE] * outputs, (5,)))


@keras.saving.register_keras_serializable("kelbo-tests")
class ExpectedLevel(keras.Layer):
    """Logits of levels and a scale, (..., levels) and (...) -> the scaled expected level."""

    def call(self, inputs):
        logits, scale = inputs
        levels = ops.arange(logits.shape[-1], dtype="float32")
        return ops.exp(scale) * ops.sum(ops.softmax(logits) * levels, axis=-1)


class Levels(Likelihood):
    """A likelihood whose parameters are not of the datum's shape: K logits for each dimension."""

    def __init__(self, network, levels, **kwargs):
        self.levels = levels
        super().__init__(network, event_shape=network.outputs[1].shape[1:], **kwargs)

    @classmethod
    def output_shapes(cls, data_shape, levels):
        return [(*data_shape, levels), tuple(data_shape)]

    @property
    def options(self):
        return {"levels": self.levels}

    def parameters(self, outputs):
        return dict(zip(("logits", "scale"), outputs, strict=True))

    def distribution(self, parameters):
        raise NotImplementedError

    def mean_layer(self):
        return ExpectedLevel(name="dec_out")


@pytest.mark.parametrize("name", kelbo.networks.NETWORKS)
def test_a_likelihood_says_the_shapes_of_its_outputs_and_its_mean_takes_them_all(name):
    shape, levels = (4, 3, 1), 5
    _, make = kelbo.networks.NETWORKS[name]
    decoder = make(shape, LATENT, Levels.output_shapes(shape, levels))
    likelihood = Levels(decoder, levels)
    assert (likelihood.event_shape, likelihood.event_rank) == (shape, 3)
    logits, scale = (to_numpy(output) for output in decoder(Z))
    assert (logits.shape, scale.shape) == ((4, *shape, levels), (4, *shape))
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.exp(scale) * (shares @ np.arange(levels))
    np.testing.assert_allclose(to_numpy(likelihood.decoder()(Z)), expected, rtol=1e-5)
    assert likelihood.get_config()["levels"] == levels
    with pytest.raises(UsageError, match=r"of shape \(4, 3, 1, 7\) and \(4, 3, 1\)"):
        Levels(decoder, 7)


def test_a_fixed_variance_of_1_comes_with_a_word_on_pixels():
    assert "variance is fixed at 1" in tiny_vae("gaussian").likelihood.caution(UNIT_INTERVAL)
    assert tiny_vae("gaussian").likelihood.caution(REAL) == ""
    for name in ("gaussian-shared", "bernoulli"):
        assert tiny_vae(name).likelihood.caution(UNIT_INTERVAL) == ""
