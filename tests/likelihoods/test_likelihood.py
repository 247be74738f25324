"""What every likelihood promises: its shape, its support, its plain keras decoder."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kelbo
from kelbo.errors import DataError, UsageError
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


def with_value(value, dtype="float32"):
    x = data(4).astype(dtype)
    x[2, 1, 0, 0] = value
    return x


REFUSED_EVERYWHERE = [
    (with_value(np.nan), r"NaN or infinite values in 1 of 4 rows \(the first is row 2\)"),
    (with_value(np.inf), "NaN or infinite values in 1 of 4 rows"),
    (with_value(-np.inf), "NaN or infinite values in 1 of 4 rows"),
    (np.full((4, *SHAPE), "a"), "Expected numbers, received an array of dtype <U1"),
    (np.full((4, *SHAPE), None), "Expected numbers, received an array of dtype object"),
]
OUTSIDE_THE_UNIT_INTERVAL = [
    (255.0 * data(4), r"\[0, 1\], but the data lie in .* 8-bit pixels: divide them by 255"),
    ((255.0 * data(4)).astype("uint8"), "divide them by 255"),
    (2.0 * data(4) - 1.0, r"scaled to \[-1, 1\]: use \(x \+ 1\) / 2"),
    (5.0 * data(4) - 9.0, "GaussianLikelihood, which takes any real value"),
]


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [("gaussian", *case) for case in REFUSED_EVERYWHERE]
    + [("bernoulli", *case) for case in (*REFUSED_EVERYWHERE, *OUTSIDE_THE_UNIT_INTERVAL)]
    + [("continuous-bernoulli", *case) for case in OUTSIDE_THE_UNIT_INTERVAL],
)
def test_data_outside_the_support_are_refused_with_a_cure(name, x, message):
    with pytest.raises(DataError, match=message):
        tiny_vae(name).likelihood.check(x)


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("bernoulli", data(4) > 0.5),
        ("bernoulli", np.round(data(4)).astype("uint8")),
        ("continuous-bernoulli", data(4).astype("float64")),
        ("gaussian", 1e6 * data(4) - 5e5),
    ],
    ids=["bool", "uint8", "float64", "any-real"],
)
def test_data_in_the_support_are_taken_whatever_their_dtype(name, x):
    assert tiny_vae(name).likelihood.check(x) is None


def test_the_cure_for_nan_leaves_the_clean_rows():
    x = with_value(np.nan)
    x = x[np.isfinite(x).all(axis=tuple(range(1, x.ndim)))]
    assert len(x) == 3
    tiny_vae().likelihood.check(x)


def sigmoid_layer(z):
    return layers.Dense(6, "sigmoid")(z)


def sigmoid_activation(z):
    return layers.Activation("sigmoid")(layers.Dense(6)(z))


def sigmoid_then_reshape(z):
    return layers.Reshape(SHAPE)(sigmoid_layer(z))


def sigmoid_operation(z):
    return ops.sigmoid(layers.Dense(6)(z))


def sigmoid_in_a_nested_model(z):
    return keras.Sequential([keras.Input((LATENT,)), layers.Dense(6, "sigmoid")])(z)


@pytest.mark.parametrize("make", [kelbo.BernoulliLikelihood, kelbo.ContinuousBernoulliLikelihood])
@pytest.mark.parametrize(
    "outputs",
    [
        sigmoid_layer,
        sigmoid_activation,
        sigmoid_then_reshape,
        sigmoid_operation,
        sigmoid_in_a_nested_model,
    ],
)
def test_a_decoder_that_ends_in_a_sigmoid_is_refused(make, outputs):
    z = keras.Input((LATENT,))
    with pytest.raises(UsageError, match="ends in a sigmoid.*Remove the sigmoid"):
        make(keras.Model(z, outputs(z)))


def test_a_sequential_that_ends_in_a_sigmoid_is_refused():
    network = keras.Sequential([keras.Input((LATENT,)), layers.Dense(6, "sigmoid")])
    with pytest.raises(UsageError, match="ends in a sigmoid"):
        kelbo.BernoulliLikelihood(network)


def test_a_gaussian_mean_may_end_in_a_sigmoid():
    z = keras.Input((LATENT,))
    assert kelbo.GaussianLikelihood(keras.Model(z, sigmoid_layer(z))).event_shape == (6,)


@pytest.mark.parametrize(
    ("name", "outputs", "message"),
    [
        ("bernoulli", 2, r"1 output\(s\)"),
        ("gaussian-shared", 2, r"1 output\(s\)"),
        ("gaussian-per-pixel", 1, r"2 output\(s\)"),
    ],
)
def test_a_decoder_with_another_number_of_outputs_is_refused(name, outputs, message):
    make, _ = LIKELIHOODS[name]
    with pytest.raises(UsageError, match=message):
        make(kelbo.networks.mlp_decoder(SHAPE, LATENT, outputs, (5,)))


@pytest.mark.parametrize(
    ("largest", "cure"), [(1.02, "numpy.clip"), (255.0, "divide them by 255"), (1e4, "Rescale")]
)
def test_the_cure_fits_the_size_of_the_values(largest, cure):
    x = data(4) * largest
    with pytest.raises(DataError, match=cure):
        tiny_vae().likelihood.check(x / x.max() * largest)


def test_rounding_is_no_reason_to_refuse():
    tiny_vae().likelihood.check(np.full((2, *SHAPE), 1.0 + 1e-7, "float32"))
