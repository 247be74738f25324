import json
import re

import keras
import numpy as np
import pytest

from kelbo.runs import RunDirectory
from tests.cli.program import kelbo, refused

COMMANDS = (["evaluate"], ["sample", "--out", "x.png"], ["reconstruct", "--out", "x.png"])


def test_the_figures_are_a_small_table_and_the_remarks_go_to_stderr(run, no_report):
    result = kelbo("evaluate", run, "--samples", 2)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "Test images" + lines[0][11:-2] + "32"
    error = r"nats, ± \d+\.\d\d, higher is better$"
    assert re.search(rf"^ELBO +-\d+\.\d\d  {error}", result.out, re.MULTILINE)
    assert re.search(
        rf"^Importance-weighted bound, K = 2 +-\d+\.\d\d  {error}", result.out, re.MULTILINE
    )
    for name in ("SSIM", "Mutual information, N = 32", "Fréchet distance, pixels, n = 32"):
        assert re.search(rf"^{name} +\d", result.out, re.MULTILINE)
    assert lines[-1] == f"Report: {run / 'report.html'}"
    assert all(len(line) <= 80 for line in lines[:-1])
    assert "not a log-likelihood" in " ".join(result.err.split())


def test_annealed_importance_sampling_comes_with_its_check(run, no_report):
    options = ("--samples", 2, "--temperatures", 15, "--images", 4)
    result = kelbo("evaluate", run, "--estimator", "ais", *options)
    assert result.code == 0, result
    for name in ("AIS log-likelihood, K = 2, n = 4", "Bound on the same images"):
        assert re.search(rf"^{name} +-\d+\.\d\d  nats, ", result.out, re.MULTILINE)
    assert re.search(
        r"^BDMC gap on simulated images +-?\d+\.\d\d  nats, ± ", result.out, re.MULTILINE
    )
    figures = RunDirectory.open(run).read_json("evaluation.json")
    assert figures["bdmc_gap"] == pytest.approx(figures["bdmc_upper"] - figures["bdmc_lower"])
    assert figures["ais_temperatures"] == 15 and 0 < figures["ais_acceptance"] <= 1


def test_samples_are_compared_in_the_features_of_a_model_that_is_named(run, tmp_path, no_report):
    pixels = keras.Input((28, 28, 1))
    network = keras.Model(pixels, keras.layers.AveragePooling2D(14)(pixels))
    network.save(tmp_path / "corners.keras")
    options = ("--samples", 2, "--features", tmp_path / "corners.keras")
    result = kelbo("evaluate", run, *options)
    assert re.search(r"^MMD², corners.keras, n = 32 +-?\d", result.out, re.MULTILINE), result


def test_options_that_have_no_meaning_are_refused(run, tmp_path):
    message = refused("evaluate", run, "--temperatures", 5, code=2)
    assert "--temperatures and --images are of --estimator ais" in message
    assert "There is no estimator 'als'" in kelbo("evaluate", run, "--estimator", "als").err
    missing = tmp_path / "missing.keras"
    assert "There is no model file" in refused("evaluate", run, "--features", missing, code=1)


def test_json_is_one_object_and_the_same_as_the_file(run, no_report):
    result = kelbo("evaluate", run, "--json", "--samples", 2)
    assert result.code == 0
    assert result.json["evaluation"] == RunDirectory.open(run).read_json("evaluation.json")
    assert "Evaluating" not in result.out


def test_evaluating_twice_gives_the_same_figures(run, trained, no_report):
    again = kelbo("evaluate", run, "--json", "--samples", 2).json["evaluation"]
    first = json.loads((trained / "evaluation.json").read_text())
    del again["seconds"], first["seconds"]
    assert again == first


def test_an_unfaithful_model_is_told_what_its_beta_means(images, tmp_path, no_report):
    options = ("--network", "mlp", "--latent-dim", 2, "--epochs", 1, "--model", "article")
    result = kelbo("train", "--data", images, *options, "--out", tmp_path / "run")
    assert re.search(r"Effective beta of 0.0018: The KL term counts .* less than in", result.err)
    assert re.search(r"^Effective beta +0\.0018$", result.out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_run_is_refused(command, tmp_path):
    name, *options = command
    assert "There is no run at" in refused(name, tmp_path / "nowhere", *options, code=2)
    assert "is not a run directory" in refused(name, tmp_path, *options, code=2)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no model.keras"),
        (b"", "model.keras is damaged"),
        (b"PK\x03\x04 and no more", "model.keras is damaged"),
    ],
)
def test_a_model_that_is_missing_or_damaged(run, command, content, message):
    (run / "model.keras").unlink()
    if content is not None:
        (run / "model.keras").write_bytes(content)
    name, *options = command
    assert message in refused(name, run, *options, code=1)


def test_a_model_file_that_was_cut_short(run):
    whole = (run / "model.keras").read_bytes()
    for length in (10, len(whole) // 2, len(whole) - 10):
        (run / "model.keras").write_bytes(whole[:length])
        assert "model.keras is damaged" in refused("evaluate", run, code=1)


# Where a run is named, the command is right, and the exit code is 1.
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[model]", "not = = toml", "config.toml is damaged"),
        ("[model]", "[model]\nlatent_dimm = 3", "no key in .* Did you mean 'latent_dim'"),
        ('"mnist"', "3", "damaged .*expected source to be text"),
        ('preset = "vae"', 'preset = "vea"', "no model 'vea'. Did you mean 'vae'"),
        ('network = "mlp"', 'network = "cnn"', "no network 'cnn'"),
        ("latent_dim = 2", "latent_dim = 3", "not describe the model .* with latent_dim = 3 it"),
        ('network = "mlp"', 'network = "conv"', "with network = 'conv' it would be another"),
        (
            'likelihood = "bernoulli"',
            'likelihood = "gaussian-shared"',
            "with likelihood = 'gaussian-shared' it",
        ),
    ],
)
def test_a_configuration_that_is_damaged_or_of_another_model(run, command, old, new, message):
    text = (run / "config.toml").read_text()
    assert old in text
    (run / "config.toml").write_text(text.replace(old, new))
    name, *options = command
    assert re.search(message, refused(name, run, *options, code=1))


def test_data_that_are_not_there(run):
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace('"mnist"', '"/nowhere/x.npy"'))
    assert "no file or folder /nowhere/x.npy" in refused("evaluate", run, code=1)


def test_data_that_have_changed_since_the_training(images, tmp_path, no_report):
    options = ("--network", "mlp", "--latent-dim", 2, "--epochs", 1)
    assert kelbo("train", "--data", images, *options, "--out", tmp_path / "run").code == 0
    before = (tmp_path / "run" / "evaluation.json").read_bytes()
    np.save(images, np.zeros((30, 5, 5), "float32"))
    assert "(n, 6, 6, 1), received" in refused("evaluate", tmp_path / "run", code=1)
    assert "(n, 6, 6, 1), received" in refused(
        "reconstruct", tmp_path / "run", "--out", tmp_path / "x.png", code=1
    )
    images.unlink()
    assert str(images) in refused("evaluate", tmp_path / "run", code=1)
    assert (tmp_path / "run" / "evaluation.json").read_bytes() == before


def test_figures_that_are_damaged_are_written_again(run):
    (run / "evaluation.json").write_text("{")
    (run / "arrays.npz").write_bytes(b"PK")
    assert kelbo("evaluate", run, "--samples", 2).code == 0
    assert RunDirectory.open(run).read_json("evaluation.json")["images"] == 32
