"""The diagnosis of a model file: printed, as JSON, and as an exit code."""

import json
import re
import shutil

import numpy as np
import pytest
import typer

from kelbo.cli.diagnose import diagnose_model
from kelbo.errors import DataError, RunError
from kelbo.loading import load_model
from kelbo.runs import METRICS, MODEL
from tests.cli.program import kelbo, refused
from tests.clinic.diagnosis import models
from tests.clinic.foreign.models import conditional, flat


def test_a_broken_model_exits_1_and_says_where(run, capsys):
    model = load_model(run / MODEL)
    model.posterior.mu.bias.assign(np.full(2, np.nan))
    model.save(run / MODEL)
    with pytest.raises(typer.Exit) as end:
        diagnose_model(run / MODEL, "mnist")
    assert end.value.exit_code == 1
    out = capsys.readouterr().out
    assert "1 error" in out
    assert "mu/bias is not finite" in " ".join(out.split())


def test_json_is_the_whole_diagnosis_and_metrics_tell_since_when(run, capsys):
    model = load_model(run / MODEL)
    for head in (model.posterior.mu, model.posterior.log_var):
        head.set_weights([np.zeros_like(weight) for weight in head.get_weights()])
    model.optimizer.iterations.assign(1000)  # not young any more
    model.save(run / MODEL)
    rows = "epoch,kl\n1,3.0\n2,0.001\n3,0.0\n"
    (run / METRICS).write_text(rows)
    with pytest.raises(typer.Exit):
        diagnose_model(run / MODEL, "mnist", as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert set(content) == {"subject", "findings", "figures", "unmeasured", "origin"}
    collapse = next(one for one in content["findings"] if one["name"] == "posterior-collapse")
    assert "since epoch 2 of 3" in collapse["meaning"]
    assert content["figures"]["effective_beta"] == pytest.approx(1.0, rel=3e-3)


def test_without_an_error_it_returns(run, tmp_path, capsys):
    shutil.copy(run / MODEL, tmp_path / "alone.keras")
    diagnose_model(tmp_path / "alone.keras", "mnist")
    assert "effective_beta" in capsys.readouterr().out


def test_kelbo_doctor_asks_for_it(run):
    result = kelbo("doctor", "--model", run / MODEL, "--data", "mnist", "--json")
    assert result == kelbo("doctor", "--model", run, "--data", "mnist", "--json")
    assert result.code == 0
    assert result.json["figures"]["effective_beta"] == pytest.approx(1.0, rel=3e-3)


def test_a_folder_is_opened_as_a_run(run, tmp_path):
    assert "is not a run directory" in refused(
        "doctor", "--model", tmp_path, "--data", "mnist", code=2
    )
    leftover = run / f".{MODEL.replace('.', '-0123abcd.')}"
    leftover.touch()
    (run / MODEL).unlink()
    assert MODEL in refused("doctor", "--model", run, "--data", "mnist", code=1)
    assert not leftover.exists()


def test_a_model_that_is_not_kelbos(tmp_path, monkeypatch, capsys):
    images = models.images().reshape(-1, *models.SHAPE[:2])
    np.save(tmp_path / "images.npy", images)
    flat()[0].save(tmp_path / "theirs.keras")
    monkeypatch.setenv("COLUMNS", "60")
    diagnose_model(tmp_path / "theirs.keras", str(tmp_path / "images.npy"))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    text = " ".join(" ".join(lines).split())
    assert "Functional of theirs.keras, read without its code, on" in text
    assert "'vae' up to z_mean and clip" in text
    assert re.search(r"left out: add_kl\w* \(AddKL\), z \(Sampling\)", text)
    assert "kl_weight not measured: the layer 'add_kl" in text
    assert "which is not in the file, and may add to the loss" in text


def test_roles_are_named_one_by_one(tmp_path):
    np.save(tmp_path / "images.npy", models.images().reshape(-1, *models.SHAPE[:2]))
    flat()[0].save(tmp_path / "theirs.keras")
    command = ["doctor", "--model", tmp_path / "theirs.keras", "--data", tmp_path / "images.npy"]
    result = kelbo(*command, "--role", "mu=z_mean", "--role", "log_sigma=z_log_var", "--json")
    assert "said to be log_sigma" in result.json["origin"]["encoder"]
    assert "such as --role mu=dense_3, received z_mean" in refused(
        *command, "--role", "z_mean", code=2
    )
    twice = ("--role", "mu=z_mean", "--role", "mu=z_log_var")
    assert "received 'z_mean' and 'z_log_var' for mu" in refused(*command, *twice, code=2)
    assert "no role 'beta'" in refused(*command, "--role", "beta=z_mean", code=2)


def test_a_conditional_vae_gets_the_labels(tmp_path, capsys):
    x, labels = models.images().reshape(-1, *models.SHAPE[:2]), np.arange(120) % 2
    np.savez(tmp_path / "data.npz", x_train=x, y_train=labels, x_test=x, y_test=labels)
    conditional().save(tmp_path / "theirs.keras")
    diagnose_model(tmp_path / "theirs.keras", str(tmp_path / "data.npz"))
    assert "active_units" in capsys.readouterr().out


def test_what_cannot_be_read_is_one_error(run, images):
    with pytest.raises(RunError, match="There is no model file"):
        diagnose_model(run / "none.keras", "mnist")
    with pytest.raises(DataError, match="takes data of shape"):
        diagnose_model(run / MODEL, str(images))
