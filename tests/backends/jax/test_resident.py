"""Epochs on the device do what Keras's loop does; where they cannot be, the reason is named."""

import logging

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kelbo
from kelbo.backends.jax import chunks, scan
from kelbo.cli.interruption import HeedCtrlC
from kelbo.data import from_arrays
from kelbo.data.stream import Batches
from kelbo.errors import UsageError
from kelbo.training.configuration import Configuration
from kelbo.training.train import make_model, train
from tests.backends.jax.support import (
    BYTES,
    KINDS,
    Device,
    Own,
    X,
    assert_same,
    both_ways,
    cached,
    compiled,
    on_jax,
    stream,
)
from tests.support import SHAPE, data, tiny_ae, tiny_vae

jax = pytest.importorskip("jax")


@on_jax
@settings(max_examples=6)
@given(
    # Few sizes, for each is compiled: whole batches alone, a partial one alone, and both.
    n=st.sampled_from([3, 8, 11]),
    batch_size=st.sampled_from([None, 4]),
    epochs=st.integers(0, 2),
    steps_per_execution=st.integers(1, 2),
    kind=st.sampled_from(sorted(KINDS)),
    weighted=st.booleans(),
    warm_up=st.booleans(),
    shuffle=st.booleans(),
    target=st.booleans(),
)
@example(11, 4, 2, 1, "bytes", False, True, False, False)
@example(11, 4, 2, 1, "grey", True, False, True, True)
@example(11, 4, 2, 2, "inverse", False, False, True, False)
def test_training_is_the_same(
    n, batch_size, epochs, steps_per_execution, kind, weighted, warm_up, shuffle, target
):
    objective = kelbo.ELBO(kelbo.LinearWarmup(4, 2.0)) if warm_up else None
    both_ways(
        KINDS[kind][:n],
        lambda: compiled(objective=objective, steps_per_execution=steps_per_execution),
        y=KINDS["bytes"][:n] if target else None,
        sample_weight=np.linspace(0.0, 2.0, n, dtype="float32") if weighted else None,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=shuffle,
    )


@on_jax
def test_training_in_mixed_precision_is_the_same():
    both_ways(
        KINDS["bytes"][:11],
        lambda: compiled(lambda: kelbo.presets.vae(SHAPE, 2, "mlp", precision="bf16")),
        batch_size=4,
        epochs=2,
    )


@on_jax
@pytest.mark.parametrize(
    "validation",
    [
        pytest.param({"validation_data": X}, id="array"),
        pytest.param(
            {"validation_data": (X,), "validation_batch_size": 3, "validation_freq": 2},
            id="every-other-epoch",
        ),
        pytest.param({"validation_data": (X, X, np.arange(10.0, dtype="float32"))}, id="weighted"),
        pytest.param({"validation_data": lambda: Own(X)}, id="data-set"),
        pytest.param({"validation_data": (X,), "validation_steps": 1}, id="steps"),
        pytest.param({"validation_split": 0.3}, id="split"),
        pytest.param({"validation_split": 0.3, "initial_epoch": 1}, id="second-epoch"),
    ],
)
def test_validation_is_the_same(validation):
    both_ways(KINDS["bytes"][:11], **{"epochs": 2, "batch_size": 4, **validation})


@on_jax
@pytest.mark.usefixtures("accelerator")
def test_on_an_accelerator_it_is_the_default_and_chunks_are_unrolled(caplog, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 6)
    caplog.set_level(logging.INFO, "kelbo")
    arguments = {"batch_size": 2, "epochs": 2, "verbose": 0, "validation_data": data(5)}
    one = compiled(make=tiny_ae)
    history = one.fit(BYTES[:21] / 255, **arguments)
    assert caplog.messages == [
        "fit stays on the device: 0.0 MB of data, an epoch of 11 batches in 2 scans."
    ]
    other = compiled(make=tiny_ae)
    assert_same(one, other, history, other.fit(BYTES[:21] / 255, resident=False, **arguments))


def test_elsewhere_keras_s_loop_runs_and_the_log_says_why_once(caplog):
    caplog.set_level(logging.INFO, "kelbo")
    vae = compiled()
    vae.fit(X, epochs=2, verbose=0)
    backend = keras.backend.backend()
    reason = f"the backend is {backend}, not jax"
    if backend == "jax":
        reason = "the device is a CPU, where a loop is faster than a scan"
    assert caplog.messages == [f"fit goes batch by batch, in Keras's loop: {reason}."]
    vae.fit(X, verbose=0, resident=False)
    assert len(caplog.messages) == 1
    if backend != "jax":
        with pytest.raises(UsageError, match=f"resident=True. cannot be: {reason}"):
            vae.fit(X, verbose=0, resident=True)


def test_resident_is_one_of_three():
    with pytest.raises(UsageError, match='resident is expected to be "auto", True or False'):
        compiled().fit(X, resident="yes")


@on_jax
@pytest.mark.usefixtures("accelerator")
def test_data_that_do_not_fit_go_batch_by_batch(caplog, monkeypatch):
    caplog.set_level(logging.INFO, "kelbo")
    device = Device({"bytes_limit": 1000})
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    arguments = {"batch_size": 4, "verbose": 0}
    compiled().fit(np.tile(X, (100, 1, 1, 1)), **arguments)
    (message,) = caplog.messages
    assert "the data need 0 MB on the device, where 0 MB are for them" in message
    caplog.clear()
    # There is room for the training data alone.
    history = compiled().fit(X, validation_data=np.tile(X, (9, 1, 1, 1)), **arguments)
    assert "Validation goes batch by batch, in Keras's loop: the data need" in caplog.messages[0]
    assert "fit stays on the device" in caplog.messages[1]
    assert "val_loss" in history.history


@on_jax
@pytest.mark.usefixtures("accelerator")
def test_a_device_that_runs_out_of_memory_is_no_end(caplog, monkeypatch):
    def full(*arguments):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    caplog.set_level(logging.INFO, "kelbo")
    monkeypatch.setattr(scan, "put", full)
    assert len(compiled().fit(X, verbose=0).epoch) == 1
    assert "the device has no room for the data (RESOURCE_EXHAUSTED" in caplog.messages[0]


# Binarised afresh, or mapped into memory.


class Drawn(keras.utils.PyDataset):
    """Batch by batch, the same draws as on the device."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        places = self.batches.order()[4 * index : 4 * index + 4]
        key = jax.random.fold_in(self.batches.key(), index)
        return (np.asarray(scan.bernoulli(self.batches.data.untransformed(places), key)),)

    def on_epoch_end(self):
        self.batches.on_epoch_end()


@on_jax
def test_a_stream_that_is_binarised_afresh_is_drawn_and_shuffled_on_the_device():
    trained = []
    for wrap, resident in ((lambda batches: batches, True), (Drawn, False)):
        model = compiled()
        x = wrap(stream(shuffle=True, seed=7, epoch=2))
        history = model.fit(x, epochs=2, shuffle=False, verbose=0, resident=resident)
        trained.append((model, history))
    (one, history), (other, expected) = trained
    assert_same(one, other, history, expected)


@on_jax
@pytest.mark.parametrize("binarization", ["none", "static"])
def test_training_on_a_cache_is_the_same(binarization, caplog):
    caplog.set_level(logging.INFO, "kelbo")
    trained = []
    for resident in (True, False):
        model, images = compiled(), cached(binarization)
        history = model.fit(
            images.batches("train", 4, shuffle=True, seed=5),
            validation_data=images.batches("test", 2),
            epochs=2, shuffle=False, verbose=0, resident=resident,
        )  # fmt: skip
        trained.append((model, history))
    (one, history), (other, expected) = trained
    assert_same(one, other, history, expected)
    assert "batch by batch" not in caplog.text
    assert f"{23 * 6 / 1e6:,.1f} MB of data" in caplog.text


@on_jax
@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("binarization", ["none", "dynamic"])
def test_a_run_of_the_command_line_stays_on_the_device(binarization, tmp_path, caplog):
    caplog.set_level(logging.INFO, "kelbo")
    configuration = Configuration(
        network="mlp", latent_dim=2, epochs=2, batch_size=4, binarization=binarization
    )
    images = from_arrays(BYTES.astype("uint8"), BYTES[:3].astype("uint8")).binarized(binarization)
    with HeedCtrlC() as heed:
        run = train(
            configuration, images, make_model(configuration, images), tmp_path, force=True,
            callbacks=[heed],
        )  # fmt: skip
    assert ["fit stays on the device" in message for message in caplog.messages] == [True]
    assert len(run.read_metrics()["val_elbo"]) == 2


# What has to go batch by batch.


class OwnBatches(Batches):
    pass


class OwnStep(kelbo.VAE):
    def train_step(self, *arguments):
        return super().train_step(*arguments)


def own_step():
    vae = tiny_vae()
    model = OwnStep(vae.posterior, vae.likelihood)
    model.compile("sgd")
    return model


def compiled_with(**options):
    model = tiny_vae()
    model.compile("sgd", **options)
    return model


class EveryBatch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class EveryTestBatch(keras.callbacks.Callback):
    def on_test_batch_end(self, batch, logs=None):
        pass


FORBIDDEN = {
    "own data set": ({"x": Own(X)}, "the data are a Own, not an array"),
    "generator": ({"x": (X for _ in range(2)), "steps_per_epoch": 2}, "steps_per_epoch is given"),
    "stream of its own": (
        {"x": stream(OwnBatches), "shuffle": False},
        "images of the OwnBatches are read batch by batch",
    ),
    "stream shuffled": ({"x": stream(), "shuffle": True}, "shuffle=False leaves it to it"),
    "steps": ({"steps_per_epoch": 1}, "steps_per_epoch is given"),
    "batch size": ({"batch_size": 4.0}, "batch_size is 4.0"),
    "shuffle": ({"shuffle": "batch"}, 'shuffle is "batch"'),
    "lengths": ({"y": data(3)}, "the arrays hold 3 and 10 data"),
    "split": ({"validation_split": 0.99}, "leaves nothing on one side"),
    "hook": (
        {"callbacks": [[EveryBatch()]]},
        "the callback EveryBatch has on_train_batch_end, to be called for every batch",
    ),
    "lambda": (
        {"callbacks": keras.callbacks.LambdaCallback(on_train_batch_begin=lambda b, logs: None)},
        "the callback LambdaCallback has on_train_batch_begin",
    ),
    "list": (
        {"callbacks": lambda: keras.callbacks.CallbackList([])},
        "the callbacks are a CallbackList",
    ),
    "checkpoint": (
        {"callbacks": [keras.callbacks.ModelCheckpoint("x.keras", save_freq=3)]},
        "the callback ModelCheckpoint has on_train_batch_end",
    ),
    "step": ({"model": own_step}, "OwnStep has its own train_step"),
    "eager": ({"model": lambda: compiled_with(run_eagerly=True)}, "run_eagerly=True"),
    "no jit": ({"model": lambda: compiled_with(jit_compile=False)}, "jit_compile=False"),
}


@on_jax
@pytest.mark.parametrize(("arguments", "reason"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_forbids_it_is_named(arguments, reason):
    arguments = {"x": X, "model": compiled, **arguments}
    if callable(arguments.get("callbacks")):
        arguments["callbacks"] = arguments["callbacks"]()
    model = arguments.pop("model")()
    with pytest.raises(UsageError) as caught:
        model.fit(verbose=0, resident=True, **arguments)
    assert str(caught.value).startswith("fit(resident=True) cannot be: ")
    assert reason in str(caught.value)


@on_jax
@pytest.mark.usefixtures("accelerator")
def test_what_is_forbidden_goes_batch_by_batch_all_the_same(caplog):
    caplog.set_level(logging.INFO, "kelbo")
    history = compiled().fit(Own(X), epochs=2, verbose=0)
    assert len(history.epoch) == 2
    assert caplog.messages == [
        "fit goes batch by batch, in Keras's loop: the data are a Own, not an array."
    ]


@on_jax
def test_hooks_for_batches_of_the_validation_leave_the_training_alone(caplog):
    caplog.set_level(logging.INFO, "kelbo")
    both_ways(X, callbacks=lambda: [EveryTestBatch()], validation_data=X, batch_size=4)
    assert "the callback EveryTestBatch has on_test_batch_end" in caplog.messages[0]
    assert "fit stays on the device" in caplog.messages[1]
