"""Ctrl-C, a kill and a full disk: what was finished stays, and the message says what to do."""

import contextlib
import json
import os
import pydoc
import random
import resource
import signal
import time

import keras
import numpy as np
import pytest

from kelbo.backends.choice import installed
from kelbo.cli.interruption import HeedCtrlC
from kelbo.loading import load_model
from kelbo.runs import RunDirectory
from tests.cli.program import MNIST, SMALL, kelbo, process

BACKEND = keras.backend.backend()
pytestmark = pytest.mark.usefixtures("heeding_ctrl_c")


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    # The signal is handled at the next instruction of Python; do not run on before it is.
    time.sleep(5)


def interrupt(monkeypatch, target, when=lambda *arguments: True):
    """Press Ctrl-C inside a function, the first time that `when` is true of its arguments."""
    original = pydoc.locate(target)

    def interrupted(*arguments, **options):
        if when(*arguments):
            ctrl_c()
        return original(*arguments, **options)

    monkeypatch.setattr(target, interrupted)


@pytest.fixture
def train(images, tmp_path, no_report):
    options = (*SMALL, "--epochs", 3, "--batch-size", 9)
    return ("train", "--data", images, *options, "--out", tmp_path / "run")


BATCH = "kelbo.cli.progress.ProgressBar.on_train_batch_end"


def test_ctrl_c_before_the_first_epoch_is_finished(train, monkeypatch, tmp_path):
    interrupt(monkeypatch, BATCH, lambda bar, batch, *rest: batch == 1)
    result = kelbo(*train)
    assert (result.code, result.out) == (1, "")
    assert "Interrupted. The first epoch was not finished" in result.err
    assert f"{tmp_path / 'run'} holds no model yet" in result.err
    assert "Traceback" not in result.err
    monkeypatch.undo()
    failed = kelbo("evaluate", tmp_path / "run")
    assert failed.code == 1
    assert "has no model.keras" in failed.err
    # The cure that the message names.
    assert kelbo(*train, "--force", "--json").code == 0


def test_ctrl_c_after_an_epoch_keeps_the_model_of_that_epoch(train, monkeypatch, tmp_path):
    interrupt(monkeypatch, BATCH, lambda bar, batch, *rest: bar.name == "Epoch 2/3")
    result = kelbo(*train)
    assert (result.code, result.out) == (1, "")
    run = tmp_path / "run"
    assert f"{run} holds the model after 1 finished epoch; `kelbo evaluate {run}`" in result.err
    monkeypatch.undo()
    assert RunDirectory.open(run).read_metrics()["epoch"] == [1.0]
    assert kelbo("evaluate", run, "--json").code == 0


def test_ctrl_c_that_a_library_swallows_still_stops_the_training(train, monkeypatch, tmp_path):
    """Keras's saving, for one, has a bare `except:` in which a KeyboardInterrupt vanishes."""
    original = keras.Model.save

    def save(model, *arguments, **options):
        with contextlib.suppress(KeyboardInterrupt):
            ctrl_c()
        return original(model, *arguments, **options)

    monkeypatch.setattr(keras.Model, "save", save)
    result = kelbo(*train)
    assert (result.code, result.out) == (1, "")
    assert f"{tmp_path / 'run'} holds the model after 1 finished epoch" in result.err
    # Outside the training the signal is Python's own again.
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_the_evaluation_keeps_the_training(train, monkeypatch, tmp_path):
    interrupt(monkeypatch, "kelbo.evaluation.evaluate.statistics")
    result = kelbo(*train)
    assert (result.code, result.out) == (1, "")
    assert "Interrupted during the evaluation" in result.err
    assert f"`kelbo evaluate {tmp_path / 'run'}`" in result.err
    monkeypatch.undo()
    assert kelbo("evaluate", tmp_path / "run", "--json").code == 0


def test_ctrl_c_while_the_data_are_loaded_leaves_nothing(train, monkeypatch, tmp_path):
    interrupt(monkeypatch, "kelbo.training.train.load_data")
    result = kelbo(*train)
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith("Error: Interrupted.\n")
    assert not (tmp_path / "run").exists()


def test_ctrl_c_that_is_ignored_stays_ignored():
    """As under nohup, and in the background job of a script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with HeedCtrlC() as heeding:
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    heeding.on_train_batch_end(0)


@pytest.mark.once  # how files are written; the tests above press Ctrl-C on each backend
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_kill_at_any_moment_leaves_whole_files(tmp_path):
    """One real training is interrupted, another killed; each file there is can be read."""
    chance = random.Random(BACKEND)
    for number, how in enumerate((signal.SIGINT, signal.SIGKILL)):
        run = tmp_path / f"run{number}"
        options = (*SMALL, "--epochs", 10_000, "--out", run)
        with process("train", *MNIST, *options, "--train-limit", 32) as training:
            deadline = time.monotonic() + 120
            while not (run / "metrics.csv").exists() and time.monotonic() < deadline:
                assert training.poll() is None, training.stderr.read()
                time.sleep(0.05)
            time.sleep(chance.uniform(0.0, 0.5))
            training.send_signal(how)
            out, err = training.communicate(timeout=60)
        assert out == ""
        assert "Traceback" not in err
        directory = RunDirectory.open(run)
        directory.read_config()
        directory.read_json("environment.json")
        epochs = len(directory.read_metrics()["epoch"])
        model = load_model(run / "model.keras")
        assert np.isfinite(model.predict(np.zeros((1, 28, 28, 1), "float32"), verbose=0)).all()
        if how == signal.SIGINT:
            assert training.returncode == 1
            assert f"holds the model after {epochs} finished epoch" in err
            assert not [path for path in run.iterdir() if path.name.startswith(".")]
        else:
            assert training.returncode == -signal.SIGKILL
    # A training in the place of the killed one also takes away what that had half written.
    directory._clear()
    assert [path.name for path in run.iterdir()] == ["config.toml"]


@pytest.mark.skipif(os.name != "posix", reason="needs limits of POSIX")
def test_a_disk_that_becomes_full_keeps_the_finished_files(run, images):
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        evaluated = kelbo("evaluate", run, "--samples", 2)
        trained = kelbo("train", "--data", images, *SMALL, "--out", run.parent / "other")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    for result in (evaluated, trained):
        assert (result.code, result.out) == (1, "")
        assert "too large" in result.err
        assert "Traceback" not in result.err
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert {name for name in before if before[name] != after[name]} <= {"evaluation.json"}
    json.loads(after["evaluation.json"])
    assert not (run.parent / "other" / "model.keras").exists()
    assert not [path for path in (run.parent / "other").iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(len(installed()) < 2, reason="needs a second backend")
def test_a_run_can_be_evaluated_on_another_backend(run):
    # The quickest to start comes first.
    other = next(
        name for name in ("jax", "torch", "tensorflow") if name != BACKEND and name in installed()
    )
    here = kelbo("evaluate", run, "--json", "--samples", 50).json["evaluation"]
    with process("evaluate", run, "--json", "--samples", 50, backend=other) as there:
        out, err = there.communicate(timeout=120)
    assert there.returncode == 0, err
    there = json.loads(out)["evaluation"]
    assert there["kl"] == pytest.approx(here["kl"], rel=1e-4)
    # The draws differ: 32 images times 50 draws leave about this much.
    assert there["elbo"] == pytest.approx(here["elbo"], rel=0.01)
