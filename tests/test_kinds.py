"""The contracts carry what is to come: one of each kind trains, is judged, saved and loaded."""

import keras
import numpy as np
import pytest
from scipy import stats

import kelbo
from kelbo.bounds import statistics
from kelbo.distributions import Normal
from kelbo.errors import DataError, UsageError
from kelbo.objectives.objective import elbo_terms
from tests.kinds import CONDITIONS, FEATURES, LATENT, MODELS, Cubic, Spy, inputs
from tests.support import to_numpy, weights

every = pytest.mark.parametrize("name", MODELS)


def rows(data, index):
    return keras.tree.map_structure(lambda array: array[index], data)


@every
def test_trains_in_training_mode_is_judged_and_comes_back_from_a_file(name, tmp_path):
    model, x = MODELS[name](middle=[Spy]), inputs(name, 16)
    model.compile(keras.optimizers.Adam(1e-2))
    Spy.seen.clear()
    before = [to_numpy(weight) for weight in model.trainable_weights]
    history = model.fit(x, batch_size=8, epochs=2, verbose=0).history
    assert set(Spy.seen) == {True}
    moved = [np.any(to_numpy(w) != b) for w, b in zip(model.trainable_weights, before, strict=True)]
    assert all(moved)
    assert np.isfinite(history["loss"]).all()

    Spy.seen.clear()
    evaluated = model.evaluate(x, verbose=0, return_dict=True)
    (part,) = statistics(model, [x], 64, 16, 0)
    assert True not in Spy.seen
    assert np.isfinite(list(evaluated.values())).all()
    assert np.all(part["bound"] > part["reconstruction"] - 1e3)

    model.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    for one, other in zip(weights(model), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    (other,) = statistics(again, [x], 64, 16, 0)
    np.testing.assert_allclose(other["bound"], part["bound"], rtol=1e-5)
    for trained in (model, again):  # the optimiser goes on where it was
        trained.fit(x, batch_size=8, shuffle=False, verbose=0)
    for one, other in zip(weights(model), weights(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@every
def test_the_weights_of_many_draws_average_to_the_elbo(name):
    model, x = MODELS[name](), inputs(name, 3)
    trace = model.sampled_trace(x, 20_000, keras.random.SeedGenerator(1))
    log_weights, terms = to_numpy(trace.log_weights), elbo_terms(trace)
    assert log_weights.shape == (20_000, 3)
    error = 4.5 * log_weights.std(axis=0) / np.sqrt(20_000) + 1e-4
    assert np.all(np.abs(log_weights.mean(axis=0) - to_numpy(terms["elbo"])) < 2 * error)
    assert trace.kl_per_group.shape[-1] == len(trace.groups)


def test_a_flow_s_draws_come_with_their_density():
    q = Cubic(Normal(np.float32([[0.5], [-1.0]]), np.float32([[0.2], [-0.4]])))
    z, log_q = map(to_numpy, q.sample_and_log_prob(0, (4000,)))
    e = np.cbrt(1.5 * z + np.sqrt(2.25 * z**2 + 1)) - np.cbrt(-1.5 * z + np.sqrt(2.25 * z**2 + 1))
    for row, (mu, log_var) in enumerate([(0.5, 0.2), (-1.0, -0.4)]):
        base = stats.norm(mu, np.exp(0.5 * log_var))
        expected = base.logpdf(e[:, row, 0]) - np.log1p(e[:, row, 0] ** 2)
        np.testing.assert_allclose(log_q[:, row], expected, atol=1e-3)
        assert stats.kstest(e[:, row, 0], base.cdf).pvalue > 1e-3


class TestConditions:
    def test_a_datum_s_numbers_are_those_of_its_own_condition(self):
        model, data = MODELS["conditional"](), inputs("conditional", 6)
        order = np.random.default_rng(0).permutation(6)
        for of in (model.encode, model.reconstruct, model.posterior_mean):
            straight, shuffled = of(data), of(rows(data, order))
            keras.tree.map_structure(
                lambda a, b: np.testing.assert_allclose(a[order], b, rtol=1e-5, atol=1e-6),
                straight,
                shuffled,
            )
        other = {**data, "c": np.roll(data["c"], 1, axis=1)}
        assert np.all(model.log_likelihood(data, 20) != model.log_likelihood(other, 20))

    def test_samples_are_drawn_for_the_conditions_asked_for(self):
        model = MODELS["conditional"]()
        c = np.eye(CONDITIONS, dtype="float32")
        samples = model.sample(3, seed=0, context={"c": c})
        p = model.prior.distribution(model.prior.call({"c": c}))
        expected = model.decode({"z": to_numpy(p.sample(0)), "c": c})
        np.testing.assert_allclose(samples, expected, rtol=1e-5)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (inputs("flow", 4), "has conditions: expected {'x': x, 'c': c}, received an array"),
            ({"x": inputs("flow", 4)}, "received a dict with 'x'"),
            ({"x": inputs("flow", 4), "c": np.zeros((4, 2))}, r"c of shape \(n, 3\)"),
            ({"x": inputs("flow", 4), "c": np.zeros((3, 3))}, "one c for each datum, received 3"),
        ],
    )
    def test_what_is_missing_is_named(self, data, message):
        model = MODELS["conditional"]()
        model.compile()
        with pytest.raises(DataError, match=message):
            model.fit(data, verbose=0)

    def test_a_sample_without_its_condition_is_refused(self):
        with pytest.raises(DataError, match="Expected the conditions c, received none"):
            MODELS["conditional"]().sample(2)

    def test_an_input_without_a_name_is_refused(self):
        posterior = kelbo.GaussianPosterior(keras.Model(*_two_unnamed_inputs()), latent_dim=LATENT)
        likelihood = MODELS["flow"]().likelihood
        with pytest.raises(UsageError, match="must be called so: keras.Input"):
            kelbo.VAE(posterior, likelihood)


def _two_unnamed_inputs():
    a, b = keras.Input((FEATURES,)), keras.Input((CONDITIONS,))
    return [a, b], keras.layers.Concatenate()([a, b])


class TestObjectiveWithWeights:
    def test_a_loss_of_the_batch_is_not_scaled_by_sample_weights(self):
        model, x = MODELS["objective-with-weights"](), inputs("flow", 8)
        model.compile("sgd")
        zero = model.test_on_batch(x, sample_weight=np.zeros(8), return_dict=True)
        trace = model.trace(x, model.call(x))
        assert float(zero["loss"]) >= 1.0 - 1e-6  # w^2 and a norm
        assert trace.z.shape == (8, LATENT)

    def test_state_that_terms_assign_is_kept_on_every_backend(self):
        model, x = MODELS["objective-with-weights"](), inputs("flow", 8)
        model.compile("sgd")
        model.fit(x, batch_size=4, epochs=3, verbose=0)
        assert float(to_numpy(model.objective.kl_average)) != 0.0


@every
def test_a_clone_is_the_same_model_with_weights_of_its_own(name):
    model = MODELS[name]()
    clone = keras.models.clone_model(model)
    shapes = [weight.shape for weight in model.weights]
    assert [weight.shape for weight in clone.weights] == shapes
    assert not {id(weight) for weight in clone.weights} & {id(weight) for weight in model.weights}
