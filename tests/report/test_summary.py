import math

import pytest

from kelbo.report import summary
from kelbo.report.summary import Quantity, Table
from kelbo.runs import ARRAYS, ENVIRONMENT, EVALUATION, METRICS, RunDirectory


def test_numbers():
    assert summary.nats(-103.414) == "−103.41"
    assert summary.nats(12345.678) == "12,345.68"
    assert summary.number(0.004898) == "0.0049"
    assert summary.number(1.0) == "1"
    assert summary.number(-25000) == "−25,000"
    assert [summary.signed(value) for value in (-2.5, 0.0, 3.0)] == ["−2.5", "0", "+3"]


def test_text_is_as_it_would_be_typed():
    assert summary.text(True) == "true"
    assert summary.text([1, 0.001, False]) == "1, 0.001, false"


def test_the_headline(config):
    assert summary.title(config, "a-run") == "vae on mnist"
    config["data"]["source"] = "/home/ada/faces.npz"
    assert summary.title(config, "a-run") == "vae on faces"
    assert summary.title({"model": {"preset": "ae"}}, "a-run") == "ae"
    assert summary.title({"seed": 3, "model": "odd"}, "a-run") == "a-run"


def test_the_line_below_it(config):
    assert summary.subtitle(config) == (
        "conv network · 4 latent dimensions · seed 0 · trained on jax"
    )
    config["model"]["precision"] = "bf16"
    assert "4 latent dimensions · bf16 precision · seed 0" in summary.subtitle(config)
    assert summary.subtitle({"model": {"latent_dim": 1}}) == "1 latent dimension"
    assert summary.subtitle({}) == ""


@pytest.mark.parametrize(
    "epochs, seconds, sentence",
    [
        (1, [42.34], "1 epoch in 42.3\u00a0s."),
        (2, [60.0, 65.2], "2 epochs in 2\u00a0min 5\u00a0s."),
        (2, [3600.0, 1800.0], "2 epochs in 1\u00a0h 30\u00a0min."),
        (10, [1.0, 2.0], "2 of 10 epochs in 3.0\u00a0s."),
        (2, [1.0, math.nan], "2 epochs."),
    ],
)
def test_training_time(epochs, seconds, sentence):
    config = {"training": {"epochs": epochs}}
    assert summary.training_time({"seconds": seconds}, config) == sentence


def test_training_time_tells_the_speed():
    metrics = {"epoch": [1.0], "samples_per_second": [2803.4]}
    assert summary.training_time(metrics, {}) == "1 epoch, 2,803 images a second."
    assert summary.training_time({}, {}) == ""


def test_quantities_carry_units_and_meaning(evaluation):
    found = {quantity.name: quantity for quantity in summary.quantities(evaluation)}
    assert list(found)[0] == "ELBO"
    assert (found["ELBO"].value, found["ELBO"].unit) == ("−103.41", "nats")
    assert found["Importance-weighted bound, K\u00a0=\u00a016"].value == "−99.83"
    assert found["Active units"].value == "3 of 4"
    assert (found["Effective β"].value, found["Effective β"].unit) == ("0.0049", "")
    assert all(quantity.meaning for quantity in found.values())


def test_what_is_absent_is_not_shown():
    assert summary.quantities({}) == []
    (only,) = summary.quantities({"images": 10, "reconstruction": -76.2, "seconds": 1.0})
    assert (only.name, only.value) == ("Reconstruction", "−76.20")


def test_figures_of_other_names_are_shown_too():
    assert summary.quantities({"total_correlation": 0.51234, "exact": True, "list": [1]}) == [
        Quantity("total correlation", "0.512")
    ]


def test_the_run_stands_between_its_floors(evaluation):
    points = summary.reference_points(evaluation)
    assert [(point.name, point.value) for point in points] == [
        ("Best model of independent pixels", "205.90"),
        ("This run, −ELBO", "103.41"),
        ("This run, −importance-weighted bound", "99.83"),
        ("Entropy of the grey pixels", "45.70"),
    ]
    del evaluation["elbo"], evaluation["importance_weighted_bound"]
    assert summary.reference_points(evaluation)[1].name == "This run, −reconstruction"
    del evaluation["floors"]
    assert summary.reference_points(evaluation) == []


def test_dimensions_stand_in_the_order_of_the_chart(evaluation):
    found = summary.dimensions(evaluation)
    assert [dimension.index for dimension in found] == [2, 0, 3, 1]
    assert (found[0].kl, found[0].activity, found[0].active) == ("3.25", "0.95", "yes")
    assert found[-1].active == "no"
    (bare,) = summary.dimensions({"kl_per_dimension": [1.0]})
    assert (bare.activity, bare.active) == (None, None)
    assert summary.dimensions({}) == []


def test_tables_flatten_what_is_nested():
    content = {"kelbo": "0.1.0", "model": {"beta": 1.0, "prior": {"name": "normal"}}, "data": {}}
    assert summary.tables(content) == [
        Table("", [("kelbo", "0.1.0")]),
        Table("model", [("beta", "1.0")]),
        Table("model.prior", [("name", "normal")]),
    ]


def test_commands_survive_the_shell(tmp_path):
    run = RunDirectory(tmp_path / "my run")
    assert summary.command("evaluate", run) == f"kelbo evaluate '{run.path}'"
    assert summary.command("train", run) == f"kelbo train --config '{run.path}/config.toml'"


def test_a_whole_run_needs_no_notice(run):
    assert summary.notices(run) == []


@pytest.mark.parametrize(
    "missing, text, verb",
    [
        ([METRICS, ENVIRONMENT], "No epoch of this training was finished", "train"),
        ([ENVIRONMENT], "versions and the device", "train"),
        ([EVALUATION], "the figures on the test set:", "evaluate"),
        ([ARRAYS], "the reconstructions, samples and latent means:", "evaluate"),
        ([EVALUATION, ARRAYS], "the figures on the test set and the reconstructions", "evaluate"),
    ],
)
def test_a_notice_names_the_command_that_helps(run, missing, text, verb):
    for name in missing:
        run.file(name).unlink()
    (notice,) = summary.notices(run)
    assert text in notice.text
    assert notice.command == summary.command(verb, run)
