import csv
import errno
import json
import re
import shutil
import tomllib

import keras
import numpy as np
import pytest
from PIL import Image

from kelbo.callbacks import Watch
from kelbo.clinic.diagnosis import Finding
from kelbo.errors import DataError
from kelbo.loading import load_model
from kelbo.presets import PRESETS
from kelbo.runs import FILES, RunDirectory
from tests.cli.program import MNIST, SMALL, kelbo, refused

BACKEND = keras.backend.backend()


def config(run):
    return tomllib.loads((run / "config.toml").read_text())


def weights(run):
    return [np.asarray(w) for w in load_model(run / "model.keras").get_weights()]


# What a training leaves.


def test_a_run_holds_every_file(trained):
    run = RunDirectory.open(trained)
    assert {path.name for path in trained.iterdir()} == {*FILES, "pictures"}
    assert run.read_metrics()["epoch"] == [1.0, 2.0]
    evaluation = run.read_json("evaluation.json")
    assert evaluation["elbo"] == pytest.approx(evaluation["reconstruction"] - evaluation["kl"])
    assert evaluation["images"] == 32
    environment = run.read_json("environment.json")
    assert environment["backend"] == BACKEND
    assert {"kelbo", "keras", "numpy", "python", "backend_version", "device"} <= set(environment)
    assert {path.name for path in (trained / "pictures").iterdir()} >= {
        "losses.png",
        "reconstructions.png",
        "samples.png",
    }
    assert "<html" in (trained / "report.html").read_text()


def test_metrics_have_one_row_an_epoch_with_training_and_test(trained):
    rows = list(csv.DictReader((trained / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        assert float(row["loss"]) == pytest.approx(-float(row["elbo"]), rel=1e-5)
        assert float(row["val_elbo"]) == pytest.approx(
            float(row["val_reconstruction"]) - float(row["val_kl"]), rel=1e-4
        )


def test_the_configuration_repeats_the_run_to_the_last_weight(trained, tmp_path, no_report):
    result = kelbo("train", "--config", trained / "config.toml", "--out", tmp_path / "again")
    assert result.code == 0
    for first, second in zip(weights(trained), weights(tmp_path / "again"), strict=True):
        np.testing.assert_array_equal(first, second)
    assert config(trained) == config(tmp_path / "again")


def test_defaults_are_those_of_the_help():
    help = " ".join(re.sub(r"[│\s]+", " ", kelbo("train", "--help").out).split())
    for option, default in (
        ("--data", "mnist"),
        ("--model", "vae"),
        ("--network", "conv"),
        ("--latent-dim", "16"),
        ("--likelihood", "bernoulli"),
        ("--precision", "float32"),
        ("--importance-samples", "5"),
        ("--epochs", "3"),
        ("--batch-size", "128"),
        ("--learning-rate", "0.001"),
        ("--seed", "0"),
    ):
        assert re.search(rf"{option} [^\[]*(\[x>=1\])?[^\[]*\[default: \({default}\)\]", help)
    assert ", ".join(list(PRESETS)[:5]) in help
    assert "[default: (1, beta-vae 4)]" in help


def test_results_go_to_stdout_and_all_else_to_stderr(tmp_path, no_report):
    result = kelbo("train", *MNIST, *SMALL, "--out", tmp_path / "run", "--json")
    assert set(result.json) == {"run", "report", "evaluation"}
    assert result.json["run"] == str(tmp_path / "run")
    assert f"Backend: {BACKEND} (" in result.err
    assert "Data: mnist, 128 training and 32 test images of 28 x 28 x 1" in result.err
    assert f"VAE on {BACKEND}, effective beta 1\n" in result.err
    assert re.search("^Epoch 1/1 ", result.err, re.MULTILINE)


# The choices.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--model", "article", "--latent-dim", "16"],
            r"effective beta 0\.0049 \(.*204 times less",
        ),
        (["--model", "beta-vae"], r"effective beta 4 \(.*4\.0 times more"),
        (["--beta", "0.5"], r"effective beta 0\.5 \(.*2\.0 times less"),
        (["--beta", "1.1"], r"effective beta 1\.1$"),
        (["--model", "ae"], "AE on .*, no KL"),
        (["--model", "iwae", "--importance-samples", "2"], r"effective beta 1$"),
        (["--warmup-epochs", "2"], r"effective beta 1 at the end"),
        (["--set", "beta=0.5"], r"effective beta 0\.5 "),
        (["--model", "article", "--set", "weight=0.02"], r"effective beta 7\.84 "),
        (["--likelihood", "gaussian"], r"Note: .*variance is fixed at 1.*gaussian-shared"),
    ],
)
def test_every_training_says_its_effective_beta(monkeypatch, tmp_path, options, expected):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kelbo.training.train.train", stop)
    result = kelbo("train", *MNIST, *SMALL, *options, "--out", tmp_path / "run")
    assert re.search(expected, result.err, re.MULTILINE)


def test_a_run_in_bfloat16_says_so_and_is_evaluated_in_it(tmp_path):
    run = tmp_path / "run"
    result = kelbo("train", *MNIST, *SMALL, "--precision", "bf16", "--out", run, "--json")
    assert f"VAE on {BACKEND} in bfloat16, effective beta 1\n" in result.err
    assert config(run)["model"]["precision"] == "bf16"
    assert "bf16 precision" in (run / "report.html").read_text()
    assert load_model(run / "model.keras").precision == "bfloat16"
    elbo = result.json["evaluation"]["elbo"]
    again = kelbo("evaluate", run, "--samples", 2, "--json")
    assert again.json["evaluation"]["elbo"] == elbo


def test_float16_is_refused_before_anything_else(tmp_path):
    message = refused("train", "--precision", "fp16", "--out", tmp_path / "run", code=2)
    assert "does not train in float16" in message
    assert "Use bf16" in message


def test_options_override_the_configuration(tmp_path, images, no_report):
    file = tmp_path / "mine.toml"
    file.write_text(
        f'[data]\nsource = "{images.as_posix()}"\n'
        '[model]\npreset = "article"\nnetwork = "mlp"\nlatent_dim = 3\n'
        "[training]\nepochs = 1\nbatch_size = 9\nseed = 5\n"
    )
    options = ("--latent-dim", 2, "--seed", 7)
    result = kelbo("train", "--config", file, *options, "--out", tmp_path / "run")
    assert result.code == 0, result
    written = config(tmp_path / "run")
    assert written["model"]["latent_dim"] == 2
    assert written["training"]["seed"] == 7
    assert written["model"]["preset"] == "article"
    assert written["training"]["batch_size"] == 9
    assert load_model(tmp_path / "run" / "model.keras").latent_dim == 2


def test_a_run_without_a_name_gets_one_and_finds_its_data_from_anywhere(
    images, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = kelbo("train", "--data", images.name, *SMALL, "--model", "ae", "--json")
    assert result.code == 0, result
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"images-ae-\d{4}-\d\d-\d\d-\d\dh\d\dm\d\d", run.name)
    assert config(run)["data"]["source"] == str(images)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = kelbo("evaluate", run, "--json").json["evaluation"]
    assert again["reconstruction"] == result.json["evaluation"]["reconstruction"]


def test_a_run_that_is_there_is_overwritten_only_on_demand(run, images, no_report):
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    train = ("train", "--data", images, *SMALL, "--out", run)
    assert "--force" in refused(*train, code=1)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    assert kelbo(*train, "--force").code == 0
    assert config(run)["data"]["source"] == str(images)


def test_a_folder_of_images_end_to_end(tmp_path):
    folder = tmp_path / "pictures"
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (24, 6, 6, 3))):
        label = folder / ("cat" if index % 2 else "dog")
        label.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype("uint8")).save(label / f"{index}.png")
    (folder / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    train = ("train", "--data", folder, *SMALL, "--binarize", "dynamic", "--out", tmp_path / "run")
    result = kelbo(*train, "--json")
    assert result.code == 0, result
    assert re.search(r"Warning: 1 of 2[0-9] images cannot be read.*broken\.png", result.err)
    again = kelbo("evaluate", tmp_path / "run", "--json", "--samples", 2)
    assert again.json["evaluation"]["elbo"] == pytest.approx(
        result.json["evaluation"]["elbo"], rel=1e-6
    )
    assert kelbo("report", tmp_path / "run").code == 0
    assert "cat" in (tmp_path / "run" / "report.html").read_text()
    assert "broken.png" in refused(*train, "--strict", "--force", code=1)
    Image.new("RGB", (9, 9)).save(folder / "dog" / "larger.png")
    assert "--image-size" in refused(*train, "--force", code=1)


def test_a_folder_is_cached_for_the_training_and_all_that_comes_after(
    tmp_path, monkeypatch, no_report
):
    monkeypatch.setenv("KELBO_CACHE", str(tmp_path / "caches"))
    folder, run = tmp_path / "pictures", tmp_path / "run"
    folder.mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (24, 6, 6))):
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{index:02}.png")
    train = ("train", "--data", folder, *SMALL)
    plain = kelbo(*train, "--out", tmp_path / "plain", "--json").json["evaluation"]
    result = kelbo(*train, "--cache", "--out", run, "--json")
    (cache,) = (tmp_path / "caches" / "images").iterdir()
    assert "24 images are decoded now, once, because there is no cache of them yet." in result.err
    assert str(cache) in result.err and "MB" in result.err
    assert result.json["evaluation"]["elbo"] == plain["elbo"]
    assert config(run)["data"]["cache"] is True
    evaluate = ("evaluate", run, "--samples", 2, "--json")
    again = kelbo(*evaluate)
    assert "decoded" not in again.err and str(cache) in again.err
    shutil.rmtree(cache)
    anew = kelbo(*evaluate)
    assert "because there is no cache" in anew.err
    for figures in (again, anew):
        assert figures.json["evaluation"]["elbo"] == pytest.approx(plain["elbo"], rel=1e-6)


# What is refused, before anything is written.


def array(change):
    pixels = np.random.default_rng(0).random((20, 6, 6), "float32")
    return change(pixels)


def spoilt(value):
    def change(pixels):
        pixels[3, 2, 1] = value
        return pixels

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoilt(np.nan), r"1 NaN.*image 3"),
        (spoilt(np.inf), r"1 infinite.*image 3"),
        (lambda x: x * 255, "0..255.*divide by 255"),
        (lambda x: x * 2 - 1, "-1, 1"),
        (lambda x: x[:0], "is empty"),
        (lambda x: x[:1], "at least 2 images"),
        (lambda x: x.reshape(20, 36), r"flattened.*reshape\(-1, 6, 6\)"),
        (lambda x: x.astype("complex64"), "found x_train of complex64"),
        (lambda x: (x * 255).astype("int32"), r"astype\('uint8'\)"),
        (lambda x: np.array([x[0], x[0, :3]], dtype=object), "several sizes"),
    ],
)
def test_bad_arrays_are_refused(tmp_path, change, message):
    path = tmp_path / "bad.npy"
    np.save(path, array(change), allow_pickle=True)
    error = refused("train", "--data", path, *SMALL, "--out", tmp_path / "run", code=1)
    assert str(path) in error
    assert re.search(message, error)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "mnits"], "no data set 'mnits'. Did you mean 'mnist'"),
        (["--data", ""], "a data set's name, a file or a folder, received nothing"),
        (["--data", "nowhere/images.npz"], "no file or folder nowhere/images.npz"),
        (["--model", "vea"], "no model 'vea'. Did you mean 'vae'"),
        (["--network", "convv"], "no network 'convv'. Did you mean 'conv'"),
        (["--likelihood", "bernouli"], "no likelihood 'bernouli'. Did you mean 'bernoulli'"),
        (["--binarize", "dinamic"], "no binarization 'dinamic'. Did you mean 'dynamic'"),
        (["--beta", "-1"], "beta to be a finite number >= 0, received -1"),
        (["--beta", "nan"], "finite number >= 0"),
        (["--set", "beta=four"], "finite number >= 0, received 'four'"),
        (["--set", "beta"], "Expected --set NAME=VALUE, as --set beta=4, received 'beta'"),
        (["--set", "bata=4"], "no option of the model 'vae' 'bata'. Did you mean 'beta'"),
        (["--set", "beta=4", "--set", "beta=5"], "--set beta=... is there twice"),
        (["--set", "beta=4", "--beta", "5"], "set twice, with --set and with --beta"),
        (["--model", "ae", "--beta", "2"], "an autoencoder has no KL"),
        (["--model", "article", "--beta", "2"], "its own constant"),
        (["--model", "iwae", "--beta", "2"], "no KL term to weigh"),
        (["--importance-samples", "5"], "'vae' takes no importance_samples.*--model iwae"),
        (["--epochs", "0"], "epochs >= 1, received 0"),
        (["--seed", "4294967296"], "seed <= 4294967295"),
        (["--learning-rate", "nan"], "learning_rate > 0, received nan"),
        (["--channels", "2"], "not 2"),
        (["--image-size", "64x"], "--image-size 64 or --image-size 64 48, received '64x'"),
        (["--image-size", "0"], "a height and a width .* at least 1"),
        (["--config", "nowhere.toml"], "no configuration file nowhere.toml"),
    ],
)
def test_wrong_choices_are_refused(tmp_path, options, message):
    error = refused("train", *MNIST, *SMALL, *options, "--out", tmp_path / "run", code=2)
    assert re.search(message, error)
    assert not (tmp_path / "run").exists()


def test_a_place_that_is_taken_is_refused_before_the_work(tmp_path, images, monkeypatch):
    def load_data(configuration):
        raise AssertionError("the data are loaded")

    monkeypatch.setattr("kelbo.training.train.load_data", load_data)
    train = ("train", "--data", images, *SMALL, "--out")
    assert "not a run" in refused(*train, tmp_path, code=1)
    assert "found a file" in refused(*train, images, code=1)


@pytest.mark.parametrize("option", ["--model", "--network", "--likelihood"])
def test_unknown_names_are_refused_before_the_work(tmp_path, images, monkeypatch, option):
    def load_data(configuration):
        raise AssertionError("the data are loaded")

    monkeypatch.setattr("kelbo.training.train.load_data", load_data)
    assert "'nothing'" in refused("train", "--data", images, option, "nothing", code=2)


def test_a_place_that_may_not_be_written_to(tmp_path, images, monkeypatch):
    def mkdir(path, **options):
        raise PermissionError(13, "Permission denied", str(path))

    # Permissions do not bind the superuser, who may be running this.
    monkeypatch.setattr("pathlib.Path.mkdir", mkdir)
    error = refused("train", "--data", images, *SMALL, "--out", tmp_path / "run", code=1)
    assert f"Not allowed ({tmp_path / 'run'})" in error


@pytest.mark.parametrize("sides", [["7"], ["7", "7"], ["=7"]])
def test_one_number_is_a_square(images, tmp_path, monkeypatch, sides):
    def load_data(configuration, watcher):
        raise DataError(f"the size is {configuration.image_size}")

    monkeypatch.setattr("kelbo.training.train.load_data", load_data)
    size = [f"--image-size{sides[0]}"] if "=" in sides[0] else ["--image-size", *sides]
    train = ("train", *size, "--data", images, *SMALL, "--out", tmp_path / "run")
    assert "the size is (7, 7)" in refused(*train, code=1)


def test_a_wrong_configuration_is_wrong_usage(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[model]\npreset = "iwae"\n[model.options]\nbeta = 2.0\n')
    assert "mine.toml: The model 'iwae' takes no beta" in refused("train", "--config", file, code=2)


def test_colours_that_are_binarised_come_with_a_word(tmp_path, monkeypatch):
    path = tmp_path / "colours.npy"
    np.save(path, np.random.default_rng(0).random((8, 4, 4, 3), "float32"))

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kelbo.training.train.train", stop)
    for options, expected in (((), False), (("--binarize", "dynamic"), True)):
        result = kelbo("train", "--data", path, *SMALL, *options, "--out", tmp_path / "run")
        assert ("Note: The three colours of a pixel are binarised" in result.err) == expected


# What stops a training.


def test_a_full_disk_says_what_is_kept_and_what_to_do(tmp_path, images, monkeypatch, no_report):
    import kelbo.training.checkpoint as checkpoint

    write = checkpoint.Checkpoint.on_epoch_end

    def fill_the_disk(self, epoch, logs=None):
        if epoch == 1:
            raise OSError(errno.ENOSPC, "No space left on device", "model.keras")
        write(self, epoch, logs)

    monkeypatch.setattr(checkpoint.Checkpoint, "on_epoch_end", fill_the_disk)
    run = tmp_path / "run"
    error = refused("train", "--data", images, *SMALL, "--epochs", 3, "--out", run, code=1)
    assert "The disk is full (model.keras)." in error
    assert f"holds the model after 1 finished epoch; `kelbo evaluate {run}`" in error


def test_a_loss_that_is_nan_stops_the_training_and_keeps_its_epochs(
    tmp_path, images, monkeypatch, no_report
):
    import kelbo.training.checkpoint as checkpoint

    write = checkpoint.Checkpoint.on_epoch_end

    def spoil_after_writing(self, epoch, logs=None):
        write(self, epoch, logs)
        if epoch == 1:
            self.model.optimizer.learning_rate = 1e30

    monkeypatch.setattr(checkpoint.Checkpoint, "on_epoch_end", spoil_after_writing)
    options = ("--data", images, *SMALL, "--epochs", 9, "--batch-size", 9)
    error = refused("train", *options, "--out", tmp_path / "run", code=1)
    assert re.search("The loss became (nan|inf|-inf) in batch [123] of epoch 3", error)
    assert re.search("kl|reconstruction", error)
    assert "learning rate" in error
    run = RunDirectory.open(tmp_path / "run")
    assert run.read_metrics()["epoch"] == [1.0, 2.0]
    assert np.isfinite(np.concatenate([w.ravel() for w in weights(run.path)])).all()
    assert kelbo("evaluate", run.path, "--json").code == 0


def test_a_learning_rate_beyond_reason_exits_1(tmp_path, images):
    options = ("--data", images, *SMALL, "--batch-size", 9, "--learning-rate", "1e6")
    error = refused("train", *options, "--epochs", 2, "--out", tmp_path / "run", code=1)
    assert re.search("became (nan|inf|-inf|NaN)", error)
    assert "learning rate" in error
    assert json.loads((tmp_path / "run" / "environment.json").read_text())


@pytest.mark.parametrize("option", [(), ("--no-watch",)])
def test_a_training_is_watched_unless_it_is_not_wanted(monkeypatch, tmp_path, no_report, option):
    class Collapsed(Watch):
        def _look(self):
            return [Finding("posterior-collapse", "error", "It has collapsed", "", "Mend it.")]

    monkeypatch.setattr("kelbo.callbacks.Watch", Collapsed)
    result = kelbo("train", *MNIST, *SMALL, *option, "--out", tmp_path / "run")
    assert result.code == 0
    said = "Warning: Epoch 1: It has collapsed. Mend it." in result.err
    assert said == (not option)
