import math

import pytest

from kelbo.report import summary
from kelbo.report.summary import Table


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


def test_tables_flatten_what_is_nested():
    content = {"kelbo": "0.1.0", "model": {"beta": 1.0, "prior": {"name": "normal"}}, "data": {}}
    assert summary.tables(content) == [
        Table("", [("kelbo", "0.1.0")]),
        Table("model", [("beta", "1.0")]),
        Table("model.prior", [("name", "normal")]),
    ]
