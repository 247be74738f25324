"""A compiled model does what it says after something of it was exchanged, or refuses."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.data import from_arrays
from kelbo.errors import DataError, UsageError
from tests import kinds
from tests.support import SHAPE, data, randomise, tiny_ae, tiny_vae, to_numpy

X = data(8)


@pytest.fixture(scope="module")
def trained():
    model = tiny_vae()
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(X, verbose=0)
    return model


@pytest.mark.parametrize("verb", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_a_changed_objective_wants_compile(verb):
    model = tiny_vae()
    model.compile("sgd")
    getattr(model, verb)(X)
    model.objective = kelbo.IWAE(3)
    with pytest.raises(UsageError, match=r"Call compile\(optimizer\) again"):
        getattr(model, verb)(X)
    model.compile("sgd")
    getattr(model, verb)(X)
    model.objective.num_samples = 4
    with pytest.raises(UsageError, match=r"Call compile\(optimizer\) again"):
        getattr(model, verb)(X)


def test_an_exchanged_objective_leaves_nothing_behind(tmp_path):
    model = tiny_vae(objective=kinds.Weighed())
    model.compile("adam")
    model.fit(X, verbose=0)
    for objective in (kelbo.ELBO(kelbo.LinearWarmup(4, 2.0)), kelbo.ELBO(3.0)):
        model.objective = objective
        model.compile("adam")
        logs = model.fit(X, verbose=0).history
    assert not [weight for weight in model.weights if "objective" in weight.path]
    assert logs["loss"] == pytest.approx(
        [3.0 * logs["kl"][0] - logs["reconstruction"][0]], rel=1e-5
    )
    model.save(tmp_path / "model.keras")
    assert kelbo.load_model(tmp_path / "model.keras").effective_beta == 3.0


def test_a_part_is_not_exchanged(trained):
    with pytest.raises(UsageError, match=r"keeps the prior.*VAE\(..., prior=...\)"):
        trained.prior = kelbo.StandardNormalPrior()


@pytest.mark.parametrize("resident", [False, "auto"])
@pytest.mark.parametrize("beside", ["y", "sample_weight", "validation"])
def test_a_data_set_brings_its_own_targets_and_weights(trained, beside, resident):
    batches = from_arrays(X, X).batches("train", 4)
    y, weight = X, np.ones(8)
    arguments = {
        "y": {"x": batches, "y": y},
        "sample_weight": {"x": batches, "sample_weight": weight},
        "validation": {"x": X, "validation_data": (batches, None, weight)},
    }[beside]
    with pytest.raises(DataError, match="each batch brings its own"):
        trained.fit(**arguments, resident=resident, verbose=0)


@pytest.mark.parametrize("how", ["arrays", "generator", "on_batch"])
def test_weights_are_one_for_each_datum_and_a_refusal_leaves_the_model_whole(trained, how):
    wrong = np.ones((8, 6), "float32")
    before = to_numpy(trained.evaluate(X, verbose=0))
    with pytest.raises(DataError, match=r"shape \(8,\), received \(8, 6\)"):
        if how == "arrays":
            trained.fit(X, sample_weight=wrong, verbose=0)
        elif how == "generator":
            trained.fit(((X, X, wrong) for _ in range(1)), shuffle=False, verbose=0)
        else:
            trained.train_on_batch(X, X, sample_weight=wrong)
    assert np.all(np.isfinite(before))
    trained.evaluate(X, sample_weight=np.ones((8, 1)), verbose=0)


def test_a_step_that_fails_leaves_the_model_whole():
    class Failing(kelbo.ELBO):
        def terms(self, trace):
            raise RuntimeError("a fault of the objective's own")

    model = tiny_vae(objective=Failing())
    model.compile("sgd")
    with pytest.raises(RuntimeError, match="of the objective's own"):
        model.fit(X, verbose=0)
    assert model.sample(2).shape == (2, *SHAPE)


@pytest.mark.parametrize("make", [tiny_vae, tiny_ae])
def test_a_frozen_encoder_is_frozen_in_its_file(make, tmp_path):
    model = make()
    model.encoder.trainable = False
    model.compile("adam")
    model.fit(X, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kelbo.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    assert int(to_numpy(loaded.optimizer.iterations)) == 1


def test_a_layer_of_two_parts_is_not_saved_as_two():
    shared = keras.layers.Dense(4, name="shared")
    x, c = keras.Input(SHAPE, name="x"), keras.Input((3,), name="c")
    z, again = keras.Input((2,), name="z"), keras.Input((3,), name="c")
    joined = keras.layers.Concatenate()
    encoder = keras.Model([x, c], joined([keras.layers.Flatten()(x), shared(c)]))
    outputs = keras.layers.Dense(6)(joined([z, shared(again)]))
    decoder = keras.Model([z, again], keras.layers.Reshape(SHAPE)(outputs))
    model = kelbo.VAE(kelbo.GaussianPosterior(encoder, 2), kelbo.BernoulliLikelihood(decoder))
    with pytest.raises(UsageError, match="share the layer 'shared'.*cannot be saved"):
        model.get_config()


def test_an_only_input_gets_x_whatever_its_name():
    x = keras.Input(SHAPE, name="c")
    encoder = keras.Model(x, keras.layers.Flatten()(x))
    c, z = keras.Input(SHAPE, name="c"), keras.Input((2,), name="z")
    outputs = keras.layers.Concatenate()([keras.layers.Flatten()(c), z])
    # With the condition before z, too.
    decoder = keras.Model([c, z], keras.layers.Reshape(SHAPE)(keras.layers.Dense(6)(outputs)))
    model = kelbo.VAE(kelbo.GaussianPosterior(encoder, 2), kelbo.BernoulliLikelihood(decoder))
    randomise(model)
    mu = model.encode({"x": X, "c": 0.0 * X})["mu"]
    assert np.all(np.ptp(mu, axis=0) > 0.0)
    assert model.sample(3, context={"c": X[:3]}).shape == (3, *SHAPE)


def test_conditional_passes_are_of_the_size_asked_for():
    model = kinds.conditional_vae()
    given = kinds.inputs("conditional", 5)
    whole = model.reconstruct(given)
    np.testing.assert_allclose(model.reconstruct(given, batch_size=2), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"loss_weights": 2.0}, {"weighted_metrics": ["mse"]}, {"metrics": ["mse"]}]
)
def test_what_the_objective_decides_is_refused_by_compile(options):
    with pytest.raises(UsageError, match="is its objective"):
        tiny_vae().compile("adam", **options)


def test_no_metrics_are_no_metrics():
    tiny_vae().compile("adam", metrics=[])


@pytest.mark.parametrize("seed", [2**31, 2**32 - 1, np.int64(3)])
def test_every_seed_draws_and_is_saved(seed, tmp_path):
    model = tiny_vae(seed=seed)
    assert model.sample(2, seed=seed).shape == (2, *SHAPE)
    model.save(tmp_path / "model.keras")
    assert kelbo.load_model(tmp_path / "model.keras").seed == int(seed)


def test_hdf5_is_refused_before_anything_is_written(trained, tmp_path):
    with pytest.raises(UsageError, match="would not load again.*model.keras"):
        trained.save(tmp_path / "model.h5")
    assert not any(tmp_path.iterdir())


def test_what_is_no_z_is_refused_with_the_way_out(trained):
    with pytest.raises(DataError, match="expected z, received .*such as the mu"):
        trained.decode(trained.encode(X))


def test_conditions_are_finite_and_have_names():
    model, given = kinds.conditional_vae(), kinds.inputs("conditional", 5)
    with pytest.raises(DataError, match="context={'c': c}, received a ndarray"):
        model.sample(5, context=given["c"])
    given["c"][3, 0] = np.nan
    model.compile("adam")
    with pytest.raises(DataError, match="in 1 of 5 rows"):
        model.fit(given, verbose=0)


def test_a_draw_of_the_encoder_is_decoded(trained):
    assert trained.decode(trained.encoder(X[:3])).shape == (3, *SHAPE)


def test_log_var_before_mu_is_refused():
    x = keras.Input((6,))
    heads = [keras.layers.Dense(2, name=name)(x) for name in ("z_log_var", "z_mean")]
    with pytest.raises(UsageError, match="expected mu and then log_var"):
        kelbo.GaussianPosterior(keras.Model(x, heads))


def test_half_a_dimension_and_half_a_seed_are_refused():
    network = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    with pytest.raises(UsageError, match="latent_dim to be a whole number, received 2.5"):
        kelbo.GaussianPosterior(network, 2.5)
    with pytest.raises(UsageError, match="seed to be a whole number, received 0.5"):
        tiny_vae(seed=0.5)
