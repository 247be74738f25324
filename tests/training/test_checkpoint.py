import math

import keras
import numpy as np
import pytest

from kelbo.errors import DivergedError
from kelbo.loading import load_model
from kelbo.runs import METRICS, MODEL, RunDirectory
from kelbo.training.checkpoint import Checkpoint
from tests.support import data, tiny_vae, weights


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "run")


@pytest.fixture
def model():
    model = tiny_vae()
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def test_every_epoch_leaves_its_model_and_its_row(run, model):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            loaded = load_model(run.file(MODEL))
            seen.append(
                all(
                    np.array_equal(one, other)
                    for one, other in zip(weights(loaded), weights(self.model), strict=True)
                )
            )
            assert run.read_metrics()["epoch"] == [1.0 + e for e in range(epoch + 1)]
            assert run.read_metrics()["loss"][-1] == pytest.approx(logs["loss"])

    model.fit(data(12), batch_size=4, epochs=3, verbose=0, callbacks=[Checkpoint(run, 12), Look()])
    assert seen == [True, True, True]
    metrics = run.read_metrics()
    for seconds, speed in zip(metrics["seconds"], metrics["samples_per_second"], strict=True):
        assert seconds > 0
        assert speed > 0


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_an_epoch_that_ends_broken_does_not_replace_the_one_before(run, model, broken):
    checkpoint = Checkpoint(run, 12)
    checkpoint.set_model(model)
    model.fit(data(4), verbose=0)
    checkpoint.on_epoch_begin(0)
    checkpoint.on_train_batch_end(0)
    checkpoint.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    before = run.file(MODEL).read_bytes(), run.file(METRICS).read_bytes()
    with pytest.raises(DivergedError, match="end of epoch 2 val_loss became.*learning rate"):
        checkpoint.on_epoch_end(1, {"loss": 1.0, "val_loss": broken})
    assert (run.file(MODEL).read_bytes(), run.file(METRICS).read_bytes()) == before


def test_the_metrics_never_tell_of_an_epoch_that_the_model_has_not_seen(run, model, monkeypatch):
    checkpoint = Checkpoint(run, 12)
    checkpoint.set_model(model)
    model.fit(data(4), verbose=0)

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "save", interrupted)
    checkpoint.on_epoch_begin(0)
    checkpoint.on_train_batch_end(0)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.on_epoch_end(0, {"loss": 1.0})
    assert list(run.path.iterdir()) == []
