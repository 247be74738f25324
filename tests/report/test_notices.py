import pytest

from kelbo.report.notices import command, missing_pictures, notices
from kelbo.runs import ARRAYS, ENVIRONMENT, EVALUATION, METRICS, RunDirectory

HEALTHY = {"elbo": -100.0, "kl": 20.0, "active_units": 4, "kl_per_dimension": [5.0] * 4}
EPOCHS = {"epoch": [1.0, 2.0]}


def test_commands_survive_the_shell(tmp_path):
    run = RunDirectory(tmp_path / "my run")
    assert command("evaluate", run) == f"kelbo evaluate '{run.path}'"
    assert command("train", run) == f"kelbo train --config '{run.path}/config.toml'"


def test_a_whole_healthy_run_needs_no_notice(run, config):
    assert notices(run, config, EPOCHS, HEALTHY) == []


@pytest.mark.parametrize(
    "missing, title, text, verb",
    [
        ([ENVIRONMENT], "Unknown environment", "versions and the device", "train"),
        ([EVALUATION], "Not evaluated yet", "the figures on the test set:", "evaluate"),
        ([ARRAYS], "Not evaluated yet", "reconstructions, samples and latent means:", "evaluate"),
        ([EVALUATION, ARRAYS], "Not evaluated yet", "test set and the reconstructions", "evaluate"),
        ([METRICS, ENVIRONMENT, EVALUATION], "No model yet", "No epoch of this", "train"),
    ],
)
def test_a_notice_names_the_command_that_helps(run, config, missing, title, text, verb):
    for name in missing:
        run.file(name).unlink()
    (notice,) = notices(run, config, {} if METRICS in missing else EPOCHS, {})
    assert notice.title == title
    assert text in notice.text
    assert notice.command == command(verb, run)


def test_a_training_that_was_interrupted_is_told_so(run, config):
    config["training"]["epochs"] = 10
    (notice,) = notices(run, config, EPOCHS, HEALTHY)
    assert notice.title == "Stopped after 2 of 10 epochs"


def test_a_configuration_of_another_latent_size_is_told_so(run, config):
    config["model"]["latent_dim"] = 5
    (notice,) = notices(run, config, EPOCHS, HEALTHY)
    assert "config.toml says that z has the size 5, and the evaluated model's has 4" in notice.text


def test_what_is_grave_stands_on_top(run, config):
    run.file(ENVIRONMENT).unlink()
    config["training"]["epochs"] = 10
    collapsed = HEALTHY | {"active_units": 0}
    titles = [notice.title for notice in notices(run, config, EPOCHS, collapsed)]
    assert titles == ["Posterior collapse", "Stopped after 2 of 10 epochs", "Unknown environment"]


@pytest.mark.parametrize(
    "evaluation, samples, traversals",
    [
        ({"reconstruction": -80.0}, "no prior to draw from", "without a prior"),
        (HEALTHY | {"active_units": 0}, "stores none", "no latent dimension is active"),
        (HEALTHY, "stores none", "stores none"),
        ({}, "stores none", "stores none"),
    ],
)
def test_pictures_that_are_missing_say_why(arrays, evaluation, samples, traversals):
    assert missing_pictures(evaluation, arrays) == {}
    assert missing_pictures(evaluation, {}) == {}  # which "Not evaluated yet" says
    found = missing_pictures(evaluation, {"originals": arrays["originals"]})
    assert samples in found["samples"]
    assert traversals in found["traversals"]
