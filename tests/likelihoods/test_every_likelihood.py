"""Each likelihood trains, shows its data, and comes back from a file; a case is one model."""

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.distributions import Factorised
from kelbo.errors import DataError, UsageError
from tests.likelihoods.cases import CASES, TABLE
from tests.support import LATENT, randomise, to_numpy

Z = np.random.default_rng(0).standard_normal((4, LATENT)).astype("float32")


@pytest.fixture(scope="module", params=CASES, ids=str)
def trained(request):
    """A case, its model after one step, the logs of that, and its weights before and after."""
    case = CASES[request.param]
    keras.utils.set_random_seed(0)
    vae = case.vae()
    randomise(vae)
    vae.compile(keras.optimizers.Adam(0.01))
    before = {w.path: to_numpy(w) for w in vae.trainable_weights}
    logs = vae.train_on_batch(case.data(16), return_dict=True)
    return case, vae, logs, before


def test_a_step_moves_every_weight_and_gives_finite_terms(trained):
    case, vae, logs, before = trained
    assert all(np.isfinite(value) for value in logs.values())
    assert logs["loss"] == pytest.approx(-logs["elbo"], rel=1e-5)
    still = [w.path for w in vae.trainable_weights if np.array_equal(before[w.path], to_numpy(w))]
    assert still == []
    network = {w.path for w in vae.likelihood.network.weights}
    own = [w for w in vae.likelihood.trainable_weights if w.path not in network]
    assert tuple(sorted(tuple(w.shape) for w in own)) == tuple(sorted(case.learned))


def test_the_decoder_shows_the_data(trained):
    case, vae, _, _ = trained
    likelihood = vae.likelihood
    shown = vae.decode(Z)
    assert shown.shape == (4, *case.shape)
    assert likelihood.decoder().layers[-1].name == "dec_out"
    own = {w.path for w in likelihood.weights}
    assert {w.path for w in likelihood.decoder().weights} <= own
    distribution = likelihood.distribution(likelihood(Z))
    if case.shown in ("mean", "mode", "typical"):
        expected = to_numpy(getattr(distribution, case.shown)())
        np.testing.assert_allclose(shown, expected, rtol=1e-5, atol=1e-6)


def test_draws_of_x_lie_in_the_support(trained):
    case, vae, _, _ = trained
    likelihood = vae.likelihood
    distribution = likelihood.distribution(likelihood(Z))
    draws = to_numpy(distribution.sample(0, (50,)))
    assert draws.shape == (50, 4, *case.shape)
    likelihood.check(draws.reshape(200, *case.shape))
    log_prob = to_numpy(distribution.log_prob(draws))
    assert log_prob.shape == (50, 4)
    assert np.isfinite(log_prob).all()
    inside = np.broadcast_to(likelihood.inside, (2, *case.shape)).astype("float32")
    likelihood.check(inside)


def test_a_model_comes_back_from_its_file(trained, tmp_path):
    case, vae, _, _ = trained
    vae.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    x = case.data(5, seed=2)
    assert [w.path for w in again.weights] == [w.path for w in vae.weights]
    for one, other in zip(again.weights, vae.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    passed = vae.draw(x, vae.encode_once(x), (), seed=3)
    log_px_z = to_numpy(vae.trace(x, passed).log_px_z)
    np.testing.assert_array_equal(to_numpy(again.trace(x, passed).log_px_z), log_px_z)
    np.testing.assert_allclose(again.decode(Z), vae.decode(Z), rtol=1e-6)
    vae.likelihood.decoder().save(tmp_path / "decoder.keras")
    decoder = keras.saving.load_model(tmp_path / "decoder.keras")
    np.testing.assert_allclose(to_numpy(decoder(Z)), vae.decode(Z), rtol=1e-5, atol=1e-6)


def test_draws_share_the_data_with_their_sample_axes(trained):
    case, vae, _, _ = trained
    x = case.data(4)
    one = vae.likelihood.distribution(vae.likelihood(Z))
    many = vae.likelihood.distribution(vae.likelihood(np.stack([Z, Z, Z])))
    expected = to_numpy(one.log_prob(x))
    np.testing.assert_allclose(to_numpy(many.log_prob(x)), [expected] * 3, rtol=1e-5)
    if isinstance(one, Factorised):
        each = to_numpy(one.log_prob_per_dimension(x))
        assert each.shape == x.shape
        np.testing.assert_allclose(each.reshape(4, -1).sum(axis=1), expected, rtol=1e-5)


def test_a_column_of_a_product_is_its_own_likelihood():
    likelihood, x = CASES["product"].likelihood(), CASES["product"].data(4)
    outputs = likelihood.network(Z)
    each = to_numpy(likelihood.distribution(likelihood(Z)).log_prob_per_dimension(x))
    outputs_and_columns = [(0, 1, 0, 2), (1, 2, 2, 3), (2, 3, 3, 4), (3, 5, 4, 5), (5, 6, 5, 6)]
    for part, (first, last, left, right) in zip(likelihood.parts, outputs_and_columns, strict=True):
        own = part.distribution(part.parameters(outputs[first:last]))
        np.testing.assert_allclose(
            each[:, left:right], to_numpy(own.log_prob_per_dimension(x[:, left:right])), rtol=1e-6
        )
    shown = to_numpy(likelihood.decoder()(Z))
    np.testing.assert_allclose(shown[:, :2], to_numpy(outputs[0]), rtol=1e-5)
    np.testing.assert_allclose(shown[:, 2], np.exp(to_numpy(outputs[1])[:, 0] + 0.5), rtol=1e-5)
    np.testing.assert_array_equal(shown[:, 3], to_numpy(outputs[2])[:, 0].argmax(axis=-1))


OUTSIDE = [
    ("log-normal", 0.0, "strictly between 0 and inf, but some data are 0 .*log1p"),
    ("log-normal", 1e-60, "some data are 0 in float32"),
    ("log-normal", -1.0, r"but the data lie in \[-1, .*any real value"),
    ("beta", 1.0, "some data are 1 in float32.* ContinuousBernoulliLikelihood"),
    ("beta", 1.0 - 1e-9, "some data are 1 in float32"),
    ("poisson", 0.5, "have fractions"),
    ("negative-binomial", -1.0, "expects counts"),
    ("categorical", 4.0, "from 0 to 3"),
    ("ordinal", 0.5, "have fractions"),
    ("discretised-logistic", 0.5, r"multiples of 1/255, but a value lies 0.5 levels .*round"),
    ("discretised-logistic", 200.0, "divide them by 255"),
    ("mixture-colours", 0.123, "levels from the nearest one"),
    ("student-t", np.inf, "NaN or infinite"),
]


@pytest.mark.once
@pytest.mark.parametrize(("name", "value", "message"), OUTSIDE)
def test_data_outside_the_support_are_refused_with_the_cure(name, value, message):
    case = CASES[name]
    x = case.data(6).astype("float64")
    case.likelihood().check(x)
    x[2].flat[0] = value
    with pytest.raises(DataError, match=message):
        case.likelihood().check(x)


@pytest.mark.once
def test_a_table_s_message_names_the_column():
    likelihood, x = CASES["product"].likelihood(), CASES["product"].data(6)
    for column, value, name in ((2, 0.0, "income"), (3, 7.0, "colour"), (4, -1.0, "visits")):
        wrong = x.copy()
        wrong[3, column] = value
        with pytest.raises(DataError, match=rf"Column '{name}.*: A \w+Likelihood expects"):
            likelihood.check(wrong)
        observed = np.full(x.shape, True)
        observed[3, column] = False
        likelihood.check(wrong, observed)  # it does not count
        likelihood.check(wrong, observed.all(axis=1))


def network(units, activation=None):
    z = keras.Input((LATENT,))
    outputs = [layers.Dense(size, activation, name=f"last_{i}")(z) for i, size in enumerate(units)]
    return keras.Model(z, outputs if len(outputs) > 1 else outputs[0])


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kelbo.PoissonLikelihood(network([6], "relu")), "expected log_rate.*relu"),
        (lambda: kelbo.BetaLikelihood(network([6], "sigmoid")), "expected logit.*sigmoid"),
        (lambda: kelbo.LogNormalLikelihood(network([6], "softplus")), "expected mu"),
        (
            lambda: kelbo.LaplaceLikelihood(network([6, 6], "softplus"), "network"),
            "expected log scale",
        ),
        (lambda: kelbo.CategoricalLikelihood(network([6], "softmax"), 6), "expected logits"),
        (lambda: kelbo.OrdinalLikelihood(network([6], "sigmoid"), 3), "expected score"),
        (
            lambda: kelbo.DiscretisedLogisticLikelihood(network([6], "sigmoid")),
            "expected location",
        ),
        (lambda: kelbo.LaplaceLikelihood(network([6]), 0.0), "number > 0, 'shared'.*received 0.0"),
        (lambda: kelbo.StudentTLikelihood(network([6]), degrees=1.0), "degrees .* number > 1"),
        (lambda: kelbo.BetaLikelihood(network([6]), "per-pixel"), "'network'.*received 'per-pixel"),
        (lambda: kelbo.CategoricalLikelihood(network([1]), 1), "at least 2 classes, received 1"),
        (lambda: kelbo.OrdinalLikelihood(network([6]), 3, "network"), "thresholds .* received"),
        (
            lambda: kelbo.ZeroInflatedPoissonLikelihood(network([6])),
            r"2 output\(s\) of shape \(6,\) and \(6,\)",
        ),
        (
            lambda: kelbo.MixtureOfDiscretisedLogisticsLikelihood(network([7]), 2),
            r"6 \(1\), 12 \(2\), 20 \(3\), 30 \(4\); received 7",
        ),
        (
            lambda: kelbo.MixtureOfDiscretisedLogisticsLikelihood(network([6]), 2),
            "expected images",
        ),
        (lambda: kelbo.ProductLikelihood(network([6]), []), r"expected columns, such as"),
        (lambda: kelbo.ProductLikelihood(network([1, 1]), TABLE[:1] * 2), "Two columns .* 'size'"),
        (lambda: kelbo.ProductLikelihood(network([2]), TABLE[:2]), r"2 output\(s\) of shape \(2,"),
    ],
)
def test_what_makes_no_likelihood_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_dimensions_that_depend_on_one_another_are_no_column():
    columns = (kelbo.Columns("pixels", kelbo.MixtureOfDiscretisedLogisticsLikelihood, 1),)
    with pytest.raises(UsageError, match="expected images"):
        kelbo.ProductLikelihood.output_shapes((1,), columns)
