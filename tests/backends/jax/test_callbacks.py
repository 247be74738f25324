"""Callbacks hear of batches while Keras counts chunks."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.backends.jax import chunks
from kelbo.cli.interruption import HeedCtrlC
from kelbo.errors import DivergedError
from tests.backends.jax.support import (
    X,
    both_ways,
    compiled,
    on_jax,
)
from tests.support import data, weights

jax = pytest.importorskip("jax")


class Diary(keras.callbacks.Callback):
    """Writes down what it hears."""

    chunk_safe = True

    def __init__(self):
        super().__init__()
        self.heard = []
        for name in dir(self):
            if name.startswith("on_") and "predict" not in name and "on_batch" not in name:
                setattr(self, name, self.hear(name))

    def hear(self, name):
        def heard(*arguments, logs=None):
            *place, logs = (*arguments, logs) if len(arguments) < 2 else arguments
            self.heard.append((name, *(p for p in place if isinstance(p, int))))

        return heard


@on_jax
def test_callbacks_hear_of_the_last_batch_of_a_chunk(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 3)
    diary = Diary()
    arguments = {"batch_size": 2, "verbose": 0, "validation_data": X[:3]}
    compiled().fit(data(13), callbacks=[diary], resident=True, **arguments)
    assert diary.params == {"verbose": 0, "epochs": 1, "steps": 7}
    assert [entry for entry in diary.heard if entry[0] != "on_train_begin"] == [
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 2),
        ("on_train_batch_begin", 3),
        ("on_train_batch_end", 6),
        ("on_test_begin",),
        ("on_test_batch_begin", 0),
        ("on_test_batch_end", 1),
        ("on_test_end",),
        ("on_epoch_end", 0),
        ("on_train_end",),
    ]
    again = Diary()
    compiled().fit(data(13), callbacks=[again], resident=False, **arguments)
    assert [e for e in again.heard if "batch" not in e[0]] == [
        e for e in diary.heard if "batch" not in e[0]
    ]


@on_jax
def test_with_steps_per_execution_every_callback_hears_what_it_hears_in_keras():
    heard = []

    class Losses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            heard.append((min(batch, 4), logs["loss"]))

    make = lambda: compiled(steps_per_execution=2)  # noqa: E731
    model, _ = both_ways(data(18), make, batch_size=4, epochs=2, callbacks=lambda: [Losses()])
    assert [batch for batch, _ in heard] == [1, 3, 4] * 4
    np.testing.assert_allclose(np.float32(heard[:6]), np.float32(heard[6:]), rtol=1e-5)
    assert model.steps_per_execution == 2
    assert np.isfinite(model.evaluate(X, batch_size=2, verbose=0)).all()


@on_jax
def test_keras_s_own_callbacks_work(tmp_path):
    known = keras.callbacks
    csv, best = tmp_path / "log.csv", tmp_path / "best.keras"
    model, history = both_ways(
        data(18),
        batch_size=4,
        epochs=9,
        validation_data=X,
        callbacks=lambda: [
            known.EarlyStopping("val_elbo", mode="max", min_delta=100.0, patience=2),
            known.ModelCheckpoint(best, "val_elbo", mode="max", save_best_only=True),
            known.BackupAndRestore(tmp_path / "backup"),
            known.CSVLogger(csv),
            known.TerminateOnNaN(),
        ],
    )
    assert len(history.epoch) == 3
    assert len(csv.read_text().splitlines()) == 4
    assert len(weights(kelbo.load_model(best))) == len(weights(model))


@on_jax
def test_a_schedule_of_epochs_works():
    slower = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    model, history = both_ways(
        X, lambda: compiled(optimizer=keras.optimizers.SGD(0.1)), epochs=3, callbacks=[slower]
    )
    np.testing.assert_allclose(history.history["learning_rate"], [0.05, 0.025, 0.0125])


@on_jax
def test_the_progress_bar_of_keras_moves_and_counts_batches(capsys, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 3)
    compiled().fit(data(13), batch_size=2, verbose=1, resident=True)
    out = capsys.readouterr().out
    assert "3/7" in out and "7/7" in out


@on_jax
def test_a_callback_may_use_the_model_between_epochs_and_stop_it_at_a_chunk():
    class Uses(keras.callbacks.Callback):
        chunk_safe = True

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_epoch_end(self, epoch, logs=None):
            used.append(self.model.evaluate(X[:5], verbose=0)[0])
            used.append(self.model.train_on_batch(X[:5])[0])

        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = (self.epoch, batch) == (1, 1)

    used = []
    make = lambda: compiled(steps_per_execution=2)  # noqa: E731
    model, _ = both_ways(data(15), make, batch_size=4, epochs=3, callbacks=lambda: [Uses()])
    np.testing.assert_allclose(used[: len(used) // 2], used[len(used) // 2 :], rtol=1e-5)
    assert int(model.optimizer.iterations) == 8  # 4 and 2 batches, and two of the callback's


@on_jax
def test_ctrl_c_between_chunks_leaves_a_model_that_can_be_used(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 2)

    class Press(keras.callbacks.Callback):
        chunk_safe = True

        def on_train_batch_end(self, batch, logs=None):
            heed.pressed = batch == 3

    vae, heed = compiled(), HeedCtrlC()
    heed.pressed = False
    with pytest.raises(KeyboardInterrupt):
        vae.fit(data(16), batch_size=2, verbose=0, callbacks=[Press(), heed], resident=True)
    assert int(vae.optimizer.iterations) == 4
    assert vae.train_function is not None
    assert np.isfinite(vae.evaluate(X, verbose=0)).all()
    assert len(vae.fit(X, verbose=0).epoch) == 1


@on_jax
@pytest.mark.parametrize("broken", [0, 9, 17, 22])
def test_a_loss_that_is_not_finite_is_named_with_its_batch_as_ever(broken):
    weight = np.ones(23, "float32")
    weight[broken] = np.inf
    messages = []
    for resident in (True, False):
        with pytest.raises(DivergedError) as caught:
            compiled().fit(
                data(23), batch_size=4, sample_weight=weight, shuffle=False, resident=resident,
                verbose=0,
            )  # fmt: skip
        messages.append(str(caught.value))
    assert f"in batch {broken // 4 + 1} of epoch 1" in messages[0]
    assert messages[0] == messages[1]
