"""What a Keras user types, on every backend."""

import io
import sys

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.data.arrays import from_arrays
from kelbo.data.dataset import Dataset
from kelbo.errors import DataError, UsageError
from kelbo.networks import mlp_decoder, mlp_encoder
from tests.support import (
    LATENT,
    LIKELIHOODS,
    SHAPE,
    Gradient,
    data,
    randomise,
    tiny_ae,
    tiny_vae,
    to_numpy,
    weights,
)

X = data(10)


def compiled(model, optimizer="sgd"):
    model.compile(optimizer)
    return model


class BatchLosses(keras.callbacks.Callback):
    """The loss of each batch, from Keras's running means."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_begin(self, epoch, logs=None):
        self.total = 0.0

    def on_train_batch_end(self, batch, logs=None):
        total = float(logs["loss"]) * (batch + 1)
        self.losses.append(total - self.total)
        self.total = total


# The parts.


def test_parts_of_different_data_shapes_are_refused_with_both():
    decoder = mlp_decoder((4, 4, 1), LATENT)
    with pytest.raises(UsageError, match=r"of shape \(3, 2, 1\), but .* of shape \(4, 4, 1\)"):
        kelbo.VAE(tiny_vae().posterior, kelbo.BernoulliLikelihood(decoder))


def test_parts_of_different_latent_shapes_are_refused_with_both():
    decoder = mlp_decoder(SHAPE, 7)
    with pytest.raises(UsageError, match=r"of shape \(2,\), but .* of shape \(7,\)"):
        kelbo.VAE(tiny_vae().posterior, kelbo.BernoulliLikelihood(decoder))


@pytest.mark.parametrize("part", ["posterior", "likelihood", "prior", "objective"])
def test_what_is_no_part_is_refused(part):
    vae = tiny_vae()
    parts = {"posterior": vae.posterior, "likelihood": vae.likelihood}
    with pytest.raises(UsageError, match=f"instance of {part.title()}, such as .*, received 'mse'"):
        kelbo.VAE(**{**parts, part: "mse"})


# Compile and fit.


@pytest.mark.parametrize("arguments", [{"loss": "mse"}, {"metrics": ["mae"]}], ids=str)
def test_a_loss_of_the_user_s_is_refused(arguments):
    with pytest.raises(UsageError, match="is its objective"):
        tiny_vae().compile("adam", **arguments)


def test_fit_before_compile_is_refused():
    with pytest.raises(UsageError, match=r"Call compile\(optimizer='adam'\) first"):
        tiny_vae().fit(X)


@pytest.mark.parametrize("make", [tiny_vae, tiny_ae])
def test_fit_lowers_the_loss_and_reports_every_term_of_every_batch(make):
    model = compiled(make(), keras.optimizers.Adam(0.05))
    randomise(model, scale=1.0)
    batches = BatchLosses()
    history = model.fit(
        X, batch_size=4, epochs=8, validation_data=X, callbacks=[batches], verbose=0
    ).history
    names = {"loss", *model.objective.logged}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert len(batches.losses) == 8 * 3  # 4 + 4 + 2 data
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    if make is tiny_vae:
        np.testing.assert_allclose(history["loss"], -np.array(history["elbo"]), rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="it has strategies")
def test_only_tensorflow_is_asked_for_a_strategy(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were not installed
    assert not hasattr(tiny_vae(), "distribute_strategy")


def test_fit_says_the_effective_beta_unless_told_to_be_quiet(capsys):
    vae = compiled(tiny_vae(objective=kelbo.ELBO(4.0)))
    vae.fit(X, verbose=0)
    assert capsys.readouterr().err == ""
    vae.fit(X, verbose=2)
    line = capsys.readouterr().err
    assert f"kelbo: VAE on {keras.backend.backend()}, effective beta 4 (the KL term" in line
    assert tiny_ae().describe_training().endswith("no KL term")
    words = tiny_vae(objective=kelbo.IWAE(7)).describe_training()
    assert "importance-weighted bound with K = 7, effective beta 1" in words


def test_noise_is_fresh_in_every_batch_and_epoch_and_repeats_with_its_seed():
    def losses(seed):
        vae = tiny_vae(seed=seed)
        randomise(vae)
        batches = BatchLosses()
        same = np.repeat(data(1), 12, axis=0)
        compiled(vae, keras.optimizers.SGD(0.0))
        vae.fit(same, batch_size=4, epochs=3, callbacks=batches, verbose=0)
        return batches.losses

    first = losses(0)
    assert len(np.unique(np.round(first, 4))) == 9
    np.testing.assert_allclose(losses(0), first, rtol=1e-6)
    assert not np.allclose(losses(1), first, rtol=1e-4)


def test_early_stopping_and_checkpoints_read_val_elbo(tmp_path):
    vae = compiled(tiny_vae(), keras.optimizers.SGD(0.0))
    path = tmp_path / "best.keras"
    history = vae.fit(
        X,
        epochs=20,
        validation_data=(X,),
        callbacks=[
            keras.callbacks.EarlyStopping("val_elbo", mode="max", min_delta=100.0, patience=2),
            keras.callbacks.ModelCheckpoint(path, "val_elbo", mode="max", save_best_only=True),
        ],
        verbose=0,
    )
    assert len(history.epoch) == 3
    for saved, own in zip(
        weights(keras.saving.load_model(path))[1:], weights(vae)[1:], strict=True
    ):
        np.testing.assert_array_equal(saved, own)


def test_summary_counts_the_parameters_of_every_part():
    vae = tiny_vae()
    lines = io.StringIO()
    vae.summary(print_fn=lambda line, **kwargs: lines.write(line + "\n"))
    for part in (vae.posterior, vae.likelihood):
        assert type(part).__name__ in lines.getvalue()
        assert f"{part.count_params()} " in lines.getvalue()
    total = (6 * 5 + 5) + 2 * (5 * 2 + 2) + (2 * 5 + 5) + (5 * 6 + 6)
    assert vae.count_params() == total
    assert f"Total params: {total}" in lines.getvalue()


# The loss.


@pytest.mark.usefixtures("fixed_noise")
class TestLossOfABatch:
    def test_is_the_objective_s_mean_over_the_batch(self):
        vae = tiny_vae(objective=kelbo.ELBO(0.5))
        terms = vae.objective.terms(vae.trace(X))
        logs = compiled(vae).test_on_batch(X, return_dict=True)
        for name, value in logs.items():
            assert float(value) == pytest.approx(to_numpy(terms[name]).mean(), rel=1e-5), name

    def test_is_the_same_with_y_x_as_without_y(self):
        vae = compiled(tiny_vae())
        without = vae.test_on_batch(X, return_dict=True)
        vae.reset_metrics()
        assert vae.test_on_batch(X, X, return_dict=True) == pytest.approx(without)

    def test_with_a_clean_target_is_the_denoising_bound_on_the_target(self):
        vae = compiled(tiny_vae())
        noisy = np.clip(X + 0.3 * data(10, seed=2), 0.0, 1.0)
        logs = vae.test_on_batch(noisy, X, return_dict=True)
        parameters = vae(noisy)
        expected = to_numpy(vae.trace(X, parameters).log_px_z).mean()
        assert float(logs["reconstruction"]) == pytest.approx(expected, rel=1e-5)
        assert to_numpy(vae.trace(noisy, parameters).log_px_z).mean() != pytest.approx(expected)

    def test_weighs_samples_as_keras_does(self):
        vae = compiled(tiny_vae())
        w = np.arange(10.0, dtype="float32")
        losses = to_numpy(vae.objective.terms(vae.trace(X))["loss"])
        logs = vae.test_on_batch(X, sample_weight=w, return_dict=True)
        # Keras divides a weighted loss by the number of data, and so are the terms: they add up.
        assert float(logs["loss"]) == pytest.approx(np.sum(w * losses) / 10, rel=1e-5)
        assert float(logs["elbo"]) == pytest.approx(-float(logs["loss"]), rel=1e-5)
        parts = float(logs["reconstruction"]) - float(logs["kl"])
        assert float(logs["elbo"]) == pytest.approx(parts, rel=1e-5)

    def test_leaves_out_samples_of_weight_zero(self):
        def gradients(x, w):
            vae = tiny_vae()
            randomise(vae)
            compiled(vae, Gradient()).train_on_batch(x, sample_weight=w)
            return weights(vae)[1:]

        w = np.float32([1, 1, 0, 1])
        changed = data(4).copy()
        changed[2] = 1.0 - changed[2]
        for a, b in zip(gradients(data(4), w), gradients(changed, w), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_evaluate_weighs_an_odd_last_batch_by_its_size():
    ae = compiled(tiny_ae())
    logs = ae.evaluate(X, batch_size=4, verbose=0, return_dict=True)
    expected = -to_numpy(ae.trace(X).log_px_z).mean()
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["reconstruction"] == pytest.approx(-expected, rel=1e-5)


# Data.

LABELS = np.arange(10)


def fit(model, x, y=None, **kwargs):
    compiled(model).fit(x, y, verbose=0, **kwargs)


def evaluate(model, x, y=None):
    compiled(model).evaluate(x, y, verbose=0)


def predict(model, x):
    model.predict(x, verbose=0)


def encode(model, x):
    model.encode(x)


def log_likelihood(model, x):
    model.log_likelihood(x, num_samples=2)


def validate(model, x):
    fit(model, X, validation_data=(x, None))


def fit_target(model, y):
    fit(model, X, y)


BAD = {
    "nan": (np.where(X == X.max(), np.nan, X), "NaN or infinite"),
    "bytes": (255.0 * X, "divide them by 255"),
    "signed": (2.0 * X - 1.0, r"use \(x \+ 1\) / 2"),
    "empty": (X[:0], "at least one datum"),
    "no-channels": (X[..., 0], r"Expected data of shape .*3, 2, 1\).*received .*3, 2\)"),
    "text": (np.full((10, *SHAPE), "a"), "Expected numbers"),
}


@pytest.mark.parametrize("use", [fit, evaluate, predict, encode, log_likelihood, validate])
@pytest.mark.parametrize(("x", "message"), BAD.values(), ids=BAD)
def test_bad_data_are_refused_wherever_they_go(use, x, message):
    with pytest.raises(DataError, match=message):
        use(tiny_vae(), x)


@pytest.mark.parametrize("name", ["nan", "bytes", "signed", "empty", "text"])
def test_bad_targets_are_refused(name):
    y, message = BAD[name]
    with pytest.raises(DataError, match=message):
        fit_target(tiny_vae(), y)


class Batches(keras.utils.PyDataset):
    """Batches of four from arrays of equal length."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return -(-len(self.arrays[0]) // 4)

    def __getitem__(self, index):
        batch = tuple(array[4 * index : 4 * index + 4] for array in self.arrays)
        return batch if len(batch) > 1 else batch[0]


@pytest.mark.parametrize(
    "use",
    [
        lambda vae: fit(vae, X, LABELS),
        lambda vae: evaluate(vae, X, LABELS),
        lambda vae: fit(vae, X, validation_data=(X, LABELS)),
        lambda vae: fit(vae, Batches(X, LABELS)),
    ],
    ids=["fit", "evaluate", "validation_data", "dataset"],
)
def test_labels_are_refused_with_the_cure(use):
    with pytest.raises(DataError, match=r"learns from x alone: call fit\(x\)"):
        use(tiny_vae())


@pytest.mark.parametrize("arrays", [(X,), (X, X)], ids=["x", "x-and-y"])
def test_a_dataset_is_as_good_as_an_array(arrays):
    ae = compiled(tiny_ae(), keras.optimizers.SGD(0.0))
    ae.fit(Batches(*arrays), epochs=2, verbose=0)
    assert ae.evaluate(Batches(*arrays), verbose=0) == pytest.approx(
        ae.evaluate(X, batch_size=4, verbose=0), rel=1e-6
    )


LATER = np.concatenate([X[:8], 255.0 * X[8:]])


@pytest.mark.parametrize(
    "use",
    [
        lambda vae: vae.fit(Batches(LATER), shuffle=False, verbose=0),
        lambda vae: vae.fit((batch for batch in [(X,), (255.0 * X,)]), shuffle=False, verbose=0),
        lambda vae: vae.fit(X, validation_data=Batches(LATER), verbose=0),
        lambda vae: vae.fit(X, validation_data=(Batches(LATER),), verbose=0),
        lambda vae: vae.evaluate(Batches(LATER), verbose=0),
        lambda vae: vae.predict(Batches(LATER), verbose=0),
        lambda vae: vae.encode(Batches(LATER)),
        lambda vae: vae.reconstruct(Batches(LATER)),
        lambda vae: vae.train_on_batch(255.0 * X),
        lambda vae: vae.train_on_batch(X, 255.0 * X),
        lambda vae: vae.test_on_batch(255.0 * X),
        lambda vae: vae.predict_on_batch(255.0 * X),
    ],
    ids=[
        "fit", "generator", "validation", "validation in a tuple", "evaluate", "predict", "encode",
        "reconstruct", "train_on_batch", "target", "test_on_batch", "predict_on_batch",
    ],
)  # fmt: skip
def test_every_batch_is_checked_wherever_it_goes(use):
    with pytest.raises(DataError, match="divide them by 255"):
        use(compiled(tiny_vae()))


def test_a_data_set_at_hand_is_checked_whole_and_keeps_its_order():
    vae = compiled(tiny_vae())
    with pytest.raises(DataError, match="divide them by 255"):
        vae.fit(Dataset("mine", LATER, LATER).batches("train", 4), verbose=0)
    batches, taken = from_arrays(X, X).batches("train", 4, shuffle=True, seed=1), []

    class Watched(type(batches)):
        def __getitem__(self, index):
            taken.append(index)
            return super().__getitem__(index)

    batches.__class__ = Watched
    vae.fit(batches, verbose=0)
    assert taken[-3:] == [0, 1, 2]  # the order of the batches is their own


def test_weights_of_classes_are_refused():
    for use in (
        lambda vae: vae.fit(X, class_weight={0: 1.0}, verbose=0),
        lambda vae: vae.train_on_batch(X, class_weight={0: 1.0}),
        lambda vae: vae.train_on_batch(X, None, None, {0: 1.0}),
    ):
        with pytest.raises(UsageError, match="sample_weight=weights"):
            use(compiled(tiny_vae()))


# Predictions and views.


@pytest.mark.parametrize("make", [tiny_vae, tiny_ae])
def test_predict_decodes_the_posterior_s_mean_batch_first(make):
    model = make()
    randomise(model)
    code = model.encode(X)
    mean = code["mu"] if make is tiny_vae else code["z"]
    assert mean.shape == (10, LATENT)
    x = model.predict(X, batch_size=4, verbose=0)
    np.testing.assert_allclose(x, model.decode(mean), rtol=1e-5)
    np.testing.assert_allclose(x, to_numpy(model.decoder(mean)), rtol=1e-5)
    np.testing.assert_array_equal(model.reconstruct(X, batch_size=4), x)
    np.testing.assert_allclose(model.predict_on_batch(X), x, rtol=1e-5)
    one_by_one = np.concatenate([model.predict(X[i : i + 1], verbose=0) for i in range(10)])
    np.testing.assert_allclose(x, one_by_one, rtol=1e-5)


def test_views_follow_training_and_add_no_weights():
    vae = compiled(tiny_vae(), keras.optimizers.SGD(0.5))
    paths = [weight.path for weight in vae.trainable_weights]
    before = vae.encoder, vae.decoder, vae.predict(X, verbose=0)
    vae.fit(X, epochs=3, verbose=0)
    assert (vae.encoder, vae.decoder) == before[:2]
    after = vae.predict(X, verbose=0)
    assert np.abs(after - before[2]).max() > 1e-3
    np.testing.assert_allclose(to_numpy(vae.decoder(vae.encode(X)["mu"])), after, rtol=1e-5)
    assert [weight.path for weight in vae.trainable_weights] == paths


def test_z_of_another_size_is_refused():
    with pytest.raises(DataError, match=r"shape \(n, 2\), received \(4, 3\)"):
        tiny_vae().decode(np.zeros((4, 3)))


# Saving.


def own_pair(objective):
    """A model on a user's own networks: mu and log_var from a functional model, a Sequential."""
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    decoder = [keras.Input((LATENT,)), layers.Dense(6), layers.Reshape(SHAPE)]
    return kelbo.VAE(
        kelbo.GaussianPosterior(keras.Model(x, [layers.Dense(LATENT)(h), layers.Dense(LATENT)(h)])),
        kelbo.BernoulliLikelihood(keras.Sequential(decoder)),
        objective=objective,
        seed=5,
    )


MODELS = {
    "elbo": lambda: tiny_vae("bernoulli"),
    "beta": lambda: tiny_vae("continuous-bernoulli", kelbo.ELBO(2.5)),
    "warm-up": lambda: tiny_vae("gaussian-shared", kelbo.ELBO(kelbo.LinearWarmup(9, 2.0))),
    "article": lambda: tiny_vae("gaussian-per-pixel", kelbo.ArticleObjective(0.01)),
    "fixed-variance": lambda: tiny_vae("gaussian"),
    "autoencoder": tiny_ae,
    "own-pair": lambda: own_pair(kelbo.ELBO()),
    "preset": lambda: kelbo.presets.article((3, 2, 1), 2, seed=4),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@every_model
def test_a_saved_model_goes_on_as_if_nothing_had_happened(make, tmp_path):
    model = compiled(make(), "adam")
    randomise(model)
    for _ in range(2):
        model.train_on_batch(X)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    assert again.effective_beta == model.effective_beta
    for own, loaded in zip(weights(model), weights(again), strict=True):
        np.testing.assert_array_equal(own, loaded)
    for own, loaded in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(own), to_numpy(loaded))
    # The noise goes on where it was: the next steps are the same to the last digit or so.
    for _ in range(2):
        losses = []
        for each in (model, again):
            each.reset_metrics()
            losses.append(float(each.train_on_batch(X, return_dict=True)["loss"]))
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@every_model
def test_a_model_rebuilds_from_its_config(make):
    model = make()
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("part", ["posterior", "likelihood", "prior"])
def test_a_part_rebuilds_from_its_config(name, part):
    part = getattr(tiny_vae(name), part)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(part))
    assert type(again) is type(part)
    own, rebuilt = part.get_config(), again.get_config()
    if "network" in own:
        layers = [each.pop("network")["config"]["layers"] for each in (own, rebuilt)]
        names, rebuilt_names = ([layer["name"] for layer in each] for each in layers)
        assert names == rebuilt_names
    assert rebuilt == own


@pytest.mark.parametrize("name", ["bernoulli", "continuous-bernoulli", "gaussian-per-pixel"])
def test_the_views_are_saved_as_plain_keras_models(name, tmp_path):
    vae = tiny_vae(name)
    randomise(vae)
    for view in ("encoder", "decoder"):
        getattr(vae, view).save(tmp_path / f"{view}.keras")
    encoder = keras.saving.load_model(tmp_path / "encoder.keras")
    decoder = keras.saving.load_model(tmp_path / "decoder.keras")
    z = vae.encode(X)["mu"]
    np.testing.assert_allclose(to_numpy(decoder(z)), vae.decode(z), rtol=1e-6)
    assert [layer.name for layer in encoder.layers[-3:]] == ["mu", "log_var", "enc_out_z"]
    for name, own in vae.encode(X).items():
        head = keras.Model(encoder.inputs[0], encoder.get_layer(name).output)
        np.testing.assert_allclose(to_numpy(head(X)), own, rtol=1e-5, atol=1e-6)


def test_weights_alone_are_saved_and_loaded(tmp_path):
    vae, other = tiny_vae(), tiny_vae(seed=9)
    randomise(vae)
    vae.save_weights(tmp_path / "vae.weights.h5")
    other.load_weights(tmp_path / "vae.weights.h5")
    np.testing.assert_allclose(other.reconstruct(X), vae.reconstruct(X), rtol=1e-6)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    decoder = keras.Sequential(
        [
            mlp_decoder(SHAPE, LATENT, None, (5,)),
            layers.Lambda(lambda x: 2.0 * x, output_shape=SHAPE),
        ]
    )
    encoder = mlp_encoder(SHAPE, (5,))
    vae = kelbo.VAE(kelbo.GaussianPosterior(encoder, LATENT), kelbo.BernoulliLikelihood(decoder))
    vae.save(tmp_path / "vae.keras")
    with pytest.raises(ValueError, match="[Ll]ambda"):
        keras.saving.load_model(tmp_path / "vae.keras")


WEIGHTS = np.array([4.0] * 5 + [0.0] * 5, "float32")


@pytest.mark.parametrize("shape", [(10,), (10, 1)])
def test_sample_weights_count_without_a_target_too(shape):
    """Keras itself drops sample weights that come without a target. The last batch has 2 data."""
    vae = compiled(tiny_vae(), keras.optimizers.SGD(0.0))
    weight = WEIGHTS.reshape(shape)
    validation = {"validation_data": (X, None, weight)}
    for target in (None, X):
        history = vae.fit(X, target, 4, sample_weight=weight, verbose=0, **validation).history
        assert history["loss"][0] == pytest.approx(-history["elbo"][0], rel=1e-5)
        assert history["val_loss"][0] == pytest.approx(-history["val_elbo"][0], rel=1e-5)
    weighted, plain = (
        vae.evaluate(X, sample_weight=w, batch_size=4, verbose=0, return_dict=True)
        for w in (weight, None)
    )
    assert weighted["loss"] == pytest.approx(-weighted["elbo"], rel=1e-5)
    # Half of the data count four times and half not at all: the loss is about doubled.
    assert weighted["loss"] == pytest.approx(2.0 * plain["loss"], rel=0.2)


@pytest.mark.parametrize("make", [tiny_vae, tiny_ae])
def test_what_is_frozen_stays_frozen_in_a_file(tmp_path, make):
    model = make()
    model.posterior.trainable = False
    compiled(model).fit(X, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kelbo.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_weights) == len(model.trainable_weights) == 4
    before = weights(loaded.posterior)
    loaded.fit(X, verbose=0)
    for one, other in zip(before, weights(loaded.posterior), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_part_may_be_frozen_between_compile_and_fit():
    vae = compiled(tiny_vae())
    vae.posterior.trainable = False
    before = weights(vae.posterior)
    vae.fit(X, verbose=0)
    for one, other in zip(before, weights(vae.posterior), strict=True):
        np.testing.assert_array_equal(one, other)


class NoBatches(keras.utils.PyDataset):
    def __len__(self):
        return 0

    def __getitem__(self, index):
        raise IndexError(index)


def test_a_data_set_without_batches_is_refused():
    with pytest.raises(DataError, match="at least one datum, received none"):
        compiled(tiny_vae()).fit(NoBatches(), verbose=0)


def test_data_of_the_right_size_and_the_wrong_shape_get_the_cure():
    with pytest.raises(DataError, match=r"Use x.reshape\(-1, 3, 2, 1\)"):
        compiled(tiny_vae()).fit(X.reshape(10, 6), verbose=0)
