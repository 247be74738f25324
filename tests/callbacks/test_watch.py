"""A training that goes wrong says so once, with the cure; a healthy one says nothing."""

import logging

import keras
import numpy as np
import pytest

from kelbo.callbacks import Watch
from kelbo.errors import DataError
from kelbo.objectives import ELBO
from tests.diagnosis.models import images
from tests.diagnosis.test_diagnose import vae


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, "kelbo")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "kelbo"]


def fit(model, epochs, **options):
    model.fit(images(400), batch_size=20, epochs=epochs, verbose=0, **options)


def test_a_healthy_training_says_nothing_from_its_first_epoch(said):
    fit(vae(), 20, callbacks=[Watch(images())])
    assert said() == []


def test_a_collapse_is_said_once(said):
    fit(vae(ELBO(49.0)), 4, callbacks=[Watch(images(), settling_steps=20)])
    collapse = [line for line in said() if "collapsed" in line]
    assert len(collapse) == 1
    assert collapse[0].startswith("Epoch ") and "effective beta of 1" in collapse[0]
    assert len(said()) == len(set(said()))


def test_it_is_said_again_when_it_comes_back(said):
    model = vae()

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.posterior.log_var.bias.assign([0.0, 30.0 if epoch != 2 else 0.0, 0.0])

    model.compile(keras.optimizers.SGD(0.0))
    fit(model, 5, callbacks=[Change(), Watch(images())])
    assert [line.split(":")[0] for line in said()] == ["Epoch 1", "Epoch 4"]


def test_weights_that_broke_in_the_last_step_are_named(said):
    model = vae()

    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 19:
                model.posterior.mu.bias.assign(np.full(3, np.nan))

    fit(model, 1, callbacks=[Break(), Watch(images())])
    assert len(said()) == 1 and "mu/bias is not finite" in said()[0]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="data stay on the device on JAX")
def test_it_takes_part_where_data_stay_on_the_device(said):
    fit(vae(ELBO(49.0)), 4, callbacks=[Watch(images(), settling_steps=20)], resident=True)
    assert any("collapsed" in line for line in said())


def test_the_training_is_the_same_with_and_without_it():
    histories = []
    for callbacks in ([], [Watch(images(), settling_steps=0)]):
        keras.utils.set_random_seed(0)
        model = vae()
        fit(model, 2, callbacks=callbacks)
        histories.append(model.history.history["loss"])
    assert histories[0] == histories[1]


def test_one_datum_is_refused():
    with pytest.raises(DataError, match="at least two"):
        Watch(images(1))
