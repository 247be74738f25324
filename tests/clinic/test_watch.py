"""A training that goes wrong says so once, with the cure; a healthy one says nothing."""

import logging

import keras
import numpy as np
import pytest

from kelbo.callbacks import Watch
from kelbo.errors import DataError
from kelbo.objectives import ELBO
from tests.clinic.diagnosis.models import collapse, healthy_vae, images
from tests.clinic.foreign.models import of_labels


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, "kelbo")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "kelbo"]


def fit(model, epochs, **options):
    model.fit(images(), batch_size=60, epochs=epochs, verbose=0, **options)


def test_a_healthy_training_says_nothing(said):
    model = healthy_vae()
    model.compile("adam")
    fit(model, 2, callbacks=[Watch(images(), settling_steps=0)])
    assert said() == []


def test_a_collapse_is_said_once_and_not_before_the_model_could_learn(said):
    model = healthy_vae(ELBO(49.0))
    collapse(model)
    fit(model, 5, callbacks=[Watch(images(), settling_steps=6)])
    (line,) = said()
    assert line.startswith("Epoch 3: The posterior has collapsed")
    assert "effective beta of 1" in line


def test_it_is_said_again_when_it_comes_back(said):
    model = healthy_vae()

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.posterior.log_var.bias.assign([-2.4, -2.4 if epoch == 2 else 30.0, -2.4])

    fit(model, 5, callbacks=[Change(), Watch(images())])
    assert [line.split(":")[0] for line in said()] == ["Epoch 1", "Epoch 4"]


def test_weights_that_broke_in_the_last_step_are_named(said):
    model = healthy_vae()

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            model.posterior.mu.bias.assign(np.full(3, np.nan))

    fit(model, 1, callbacks=[Break(), Watch(images())])
    assert len(said()) == 1 and "mu/bias is not finite" in said()[0]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="data stay on the device on JAX")
def test_it_takes_part_where_data_stay_on_the_device(said):
    model = healthy_vae()
    collapse(model)
    fit(model, 2, callbacks=[Watch(images(), settling_steps=0)], resident=True)
    (line,) = said()
    assert line.startswith("Epoch 1: The posterior has collapsed")


def test_the_training_is_the_same_with_and_without_it():
    histories = []
    for callbacks in ([], [Watch(images(), settling_steps=0)]):
        keras.utils.set_random_seed(0)
        model = healthy_vae()
        model.compile("adam")
        fit(model, 2, callbacks=callbacks)
        histories.append(model.history.history["loss"])
    assert histories[0] == histories[1]


def test_other_data_than_the_model_s_are_refused_before_the_training():
    model = healthy_vae()
    with pytest.raises(DataError, match=r"takes data of shape .* received \(5, 3, 3, 1\)"):
        fit(model, 1, callbacks=[Watch(np.zeros((5, 3, 3, 1)))])
    assert int(model.optimizer.iterations) == 0


def test_conditions_are_given_as_to_fit():
    model, x = of_labels(), [images(300), np.eye(3)[np.arange(300) % 3].astype("float32")]
    model.fit(x, batch_size=60, verbose=0, callbacks=[Watch(x, settling_steps=0)])
    watch = Watch(tuple(x))
    model.fit(x, batch_size=60, verbose=0, callbacks=[watch])
    assert [len(array) for array in (watch.data.x, *watch.data.conditions)] == [256, 256]


def test_a_condition_that_lacks_is_asked_for_before_the_training():
    model, x = of_labels(), [images(), np.eye(3)[np.arange(120) % 3].astype("float32")]
    with pytest.raises(DataError, match=r"x and 1 condition.*received 1 array.*\[x, labels\]"):
        model.fit(x, verbose=0, callbacks=[Watch(x[0])])
    assert int(model.optimizer.iterations) == 0


def test_one_datum_is_refused():
    with pytest.raises(DataError, match=r"at least two data, received shape \(1, 4, 4, 1\)"):
        Watch(images(1))
    with pytest.raises(DataError, match="at least two data, received float"):
        Watch([images(), 1.0])
