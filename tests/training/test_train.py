import keras
import numpy as np
import pytest

from kelbo.data import from_arrays
from kelbo.errors import DataError, RunError, UsageError
from kelbo.loading import load_model
from kelbo.runs import CONFIG, ENVIRONMENT, METRICS, MODEL
from kelbo.training.agreement import check_unchanged
from kelbo.training.configuration import Configuration
from kelbo.training.train import make_model, train
from tests.support import to_numpy, weights

SMALL = Configuration(network="mlp", latent_dim=2, epochs=2, batch_size=4)


def images(n=10, binarization="none"):
    x = np.random.default_rng(0).random((n, 4, 4), "float32")
    return from_arrays(x, x[:3]).binarized(binarization)


def test_the_seed_decides_every_weight(tmp_path):
    def trained(seed, name):
        configuration = SMALL.with_changes(seed=seed, binarization="dynamic")
        data = images(binarization="dynamic")
        model = make_model(configuration, data)
        train(configuration, data, model, tmp_path / name)
        return weights(model)

    first, again, other = trained(1, "a"), trained(1, "b"), trained(2, "c")
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    assert any((one != differs).any() for one, differs in zip(first, other, strict=True))


def test_the_run_holds_the_model_as_it_is_after_the_last_epoch(tmp_path):
    data = images()
    model = make_model(SMALL, data)
    run = train(SMALL, data, model, tmp_path / "run")
    assert {path.name for path in run.path.iterdir()} == {CONFIG, MODEL, METRICS, ENVIRONMENT}
    for one, other in zip(weights(model), weights(load_model(run.file(MODEL))), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("source", "kept"),
    [("mnist", True), ("./mnist", False), ("folder/x.npz", False), ("~/x.npz", False)],
)
def test_a_path_is_written_so_that_it_is_found_from_anywhere(tmp_path, monkeypatch, source, kept):
    monkeypatch.chdir(tmp_path)
    configuration = SMALL.with_changes(source=source, epochs=1)
    data = images()
    run = train(configuration, data, make_model(configuration, data), "run")
    written = run.read_config()["data"]["source"]
    if kept:
        assert written == source
    else:
        assert written.startswith("/") or written[1] == ":"
        assert "~" not in written


def test_the_model_has_the_options_of_the_configuration_and_the_count_of_the_data():
    configuration = SMALL.with_changes(options={"warmup_epochs": 5.0, "beta": 3.0})
    model = make_model(configuration, images())
    assert (model.objective.beta.steps, model.objective.beta.beta) == (15, 3.0)
    configuration = SMALL.with_changes(preset="iwae", options={"importance_samples": 3})
    assert make_model(configuration, images()).objective.sample_shape == (3,)


@pytest.mark.parametrize("change", [{"network": "x"}, {"likelihood": "x"}])
def test_unknown_names_are_refused(change):
    with pytest.raises(UsageError, match="There is no .* 'x'"):
        make_model(SMALL.with_changes(**change), images())


def test_nothing_is_written_when_the_data_do_not_fit(tmp_path):
    model = make_model(SMALL, images())
    other = from_arrays(np.zeros((10, 5, 5), "float32"))
    with pytest.raises(DataError, match="Expected data of shape"):
        train(SMALL, other, model, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_is_kept(tmp_path):
    data = images()
    run = train(SMALL.with_changes(epochs=1), data, make_model(SMALL, data), tmp_path / "run")
    before = run.file(MODEL).read_bytes()
    with pytest.raises(RunError, match="already holds a run"):
        train(SMALL, data, make_model(SMALL, data), tmp_path / "run")
    assert run.file(MODEL).read_bytes() == before


def test_a_file_that_breaks_during_the_training_is_named(tmp_path):
    from PIL import Image

    from kelbo.data import load

    for index in range(12):
        Image.new("L", (4, 4), index).save(tmp_path / f"{index}.png")
    data = load(tmp_path)
    model = make_model(SMALL, data)

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for path in tmp_path.glob("*.png"):
                path.write_bytes(b"broken")

    configuration = SMALL.with_changes(epochs=3)
    with pytest.raises(DataError, match=r"\.png could be read when the folder was loaded"):
        train(configuration, data, model, tmp_path / "run", callbacks=[Break()])
    assert (tmp_path / "run" / MODEL).exists()


def test_a_warm_up_starts_from_the_weights_that_the_seed_gives():
    with_warm_up = make_model(SMALL.with_changes(options={"warmup_epochs": 2.0}), images())
    assert with_warm_up.effective_beta == 1.0  # the preset's own
    without = make_model(SMALL, images())
    pairs = zip(without.trainable_weights, with_warm_up.trainable_weights, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


def test_data_of_another_number_are_refused(tmp_path):
    run = train(SMALL, images(10), make_model(SMALL, images(10)), tmp_path / "run")
    check_unchanged(run, images(10))
    with pytest.raises(DataError, match="10 training images then, 11 now"):
        check_unchanged(run, images(11))


def test_images_that_are_all_equal_are_warned_of_before_the_training(tmp_path, caplog):
    equal = from_arrays(np.full((6, 4, 4), 0.5, "float32"))
    for name, data in (("equal", equal), ("different", images())):
        train(SMALL, data, make_model(SMALL, data), tmp_path / name)
    assert caplog.text.count("are all equal") == 1
    assert "training images are all equal: a model learns nothing" in caplog.text
