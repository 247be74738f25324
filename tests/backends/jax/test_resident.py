"""Epochs on the device do what Keras's loop does; where they cannot be, the reason is named."""

import logging
import math

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kelbo
from kelbo.backends.jax import resident as resident_jax
from kelbo.backends.jax.resident import Chunks, _Arrays, _bounds, _put, _Room
from kelbo.cli.interruption import HeedCtrlC
from kelbo.data import CachedImages, Dataset, from_arrays
from kelbo.data.stream import Batches
from kelbo.errors import DivergedError, UsageError
from kelbo.training.configuration import Configuration
from kelbo.training.train import make_model, train
from tests.support import SHAPE, data, randomise, tiny_ae, tiny_vae, to_numpy, weights

jax = pytest.importorskip("jax")
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="there is one way elsewhere")

X = data(10)
BYTES = np.random.default_rng(3).integers(0, 256, (23, 3, 2, 1))
KINDS = {
    "grey": data(23),
    "double": data(23).astype("float64"),
    "bytes": BYTES.astype("float32") / np.float32(255),
    "inverse": BYTES.astype("float32") * np.float32(1 / 255),
    "binary": (BYTES > 99).astype("float32"),
    "bool": BYTES > 99,
}


@pytest.fixture
def accelerator(monkeypatch):
    """What asks JAX for the device is told of a GPU: kelbo, and the loop of Keras, which then
    sends batches ahead."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


def compiled(make=tiny_vae, optimizer=None, steps_per_execution=1, **options):
    keras.utils.set_random_seed(5)
    model = make(**options)
    randomise(model)
    optimizer = optimizer or keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.9)
    )
    model.compile(optimizer, steps_per_execution=steps_per_execution)
    return model


def assert_same(one, other, history, expected):
    """Two trained models and their histories."""
    assert history.epoch == expected.epoch
    assert list(history.history) == list(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=2e-5, err_msg=name)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(one.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-4, atol=1e-6)
    state, expected_state = one.seed_generator.state, other.seed_generator.state
    np.testing.assert_array_equal(to_numpy(state), to_numpy(expected_state))


def both_ways(x, make=compiled, **arguments):
    """Train twice alike but for the way, and compare."""
    trained = []
    for resident in (True, False):
        model = make()
        options = {key: value() if callable(value) else value for key, value in arguments.items()}
        history = model.fit(x, verbose=0, resident=resident, **options)
        trained.append((model, history))
    (one, history), (other, expected) = trained
    assert_same(one, other, history, expected)
    return one, history


# Both ways compute the same.


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
    monkeypatch.setattr(resident_jax, "CHUNK", 6)
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
def test_scans_are_compiled_once_and_forgotten_when_the_model_is_compiled():
    traced = []

    class Counting(kelbo.ELBO):
        def terms(self, trace):
            traced.append(trace)
            return super().terms(trace)

    vae = compiled(objective=Counting())
    vae.fit(X, batch_size=4, verbose=0, resident=True)
    times = len(traced)
    vae.fit(1.0 - X, batch_size=4, epochs=2, verbose=0, resident=True)
    assert len(traced) == times
    expected = vae.evaluate(X, verbose=0, return_dict=True)
    vae.objective = kelbo.ELBO(0.0)
    vae.compile(vae.optimizer)
    logs = vae.fit(X, batch_size=10, verbose=0, resident=True).history
    assert logs["loss"][0] == pytest.approx(-logs["reconstruction"][0])
    assert logs["kl"][0] == pytest.approx(expected["kl"], rel=1e-3)


# Chunks.


@given(n=st.integers(1, 3000), batch_size=st.integers(1, 40), group=st.integers(1, 9))
def test_chunks_hold_every_batch_once_and_few_lengths_are_compiled(n, batch_size, group):
    bounds = _bounds(n, batch_size, group)
    batches = math.ceil(n / batch_size)
    assert [first for first, _ in bounds] == [0, *(end for _, end in bounds[:-1])]
    assert bounds[-1][1] == batches
    whole = {min(end, n // batch_size) - first for first, end in bounds} - {0}
    assert len(whole) <= 2
    if group > 1:
        assert {end - first for first, end in bounds[:-1]} <= {group}
    else:
        assert max(whole, default=1) <= resident_jax.CHUNK


@given(n=st.integers(1, 60), batch_size=st.integers(1, 9), group=st.integers(1, 4))
def test_a_chunk_holds_the_places_of_its_batches_in_order(n, batch_size, group):
    chunks = Chunks(_Arrays(np.zeros((n, 1)), None, None, batch_size, shuffle=True), n, group)
    for _ in range(2):
        np.random.seed(n)
        found, batch = [], 0
        for index in range(len(chunks)):
            chunk = chunks[index]
            assert chunk["first"] == batch
            for name in {"whole", "partial"} & set(chunk):
                batch += len(chunk[name])
            found += [chunk[name].ravel() for name in ("whole", "partial") if name in chunk]
        np.random.seed(n)
        np.testing.assert_array_equal(np.concatenate(found), np.random.permutation(n))


# Memory.


@on_jax
@pytest.mark.parametrize("kind", KINDS)
def test_data_lie_on_the_device_exactly_as_bytes_where_they_are_bytes(kind, monkeypatch):
    monkeypatch.setattr(resident_jax, "PIECE", 5 * 6)
    array, room = KINDS[kind], _Room(forced=True)
    column = _put(array, room)
    batch = np.asarray(column(np.arange(23)[::-1]))
    np.testing.assert_array_equal(batch, array[::-1].astype(batch.dtype))
    # As Keras would cast them.
    assert batch.dtype == ("bool" if kind == "bool" else "float32")
    in_bytes = kind not in ("grey", "double")
    assert room.taken == array.size * (1 if in_bytes else 4)


@on_jax
def test_a_value_that_is_no_byte_is_found_wherever_it_is(monkeypatch):
    monkeypatch.setattr(resident_jax, "PIECE", 5 * 6)
    array = np.concatenate([np.zeros((2**18, 1), "float32"), [[0.1]]], dtype="float32")
    room = _Room(forced=True)
    np.testing.assert_array_equal(np.asarray(_put(array, room)(np.arange(len(array)))), array)
    assert room.taken == array.nbytes


class Device:
    def __init__(self, statistics):
        self.memory_stats = lambda: statistics


@on_jax
@pytest.mark.parametrize(
    ("statistics", "room"),
    [
        (None, resident_jax.UNKNOWN_ROOM),
        ({"bytes_limit": 1000, "bytes_in_use": 400}, 300),
        ({"bytes_limit": 1000}, 500),
    ],
)
def test_data_may_take_half_of_the_memory_that_is_free(statistics, room, monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: [Device(statistics)])
    assert _Room(forced=False).left == room


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
    monkeypatch.setattr(resident_jax, "_put", full)
    assert len(compiled().fit(X, verbose=0).epoch) == 1
    assert "the device has no room for the data (RESOURCE_EXHAUSTED" in caplog.messages[0]


# What has to go batch by batch.


class Own(keras.utils.PyDataset):
    """A data set of the user's own."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return -(-len(self.x) // 4)

    def __getitem__(self, index):
        return (self.x[4 * index : 4 * index + 4],)


class OwnStep(kelbo.VAE):
    def train_step(self, *arguments):
        return super().train_step(*arguments)


class OwnBatches(Batches):
    pass


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


def stream(kind=Batches, **options):
    images = from_arrays(data(11), data(3)).binarized("dynamic")
    return kind(images.batches("train", 4).data, 4, **options)


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
    "lengths": ({"sample_weight": np.ones(3)}, "the arrays hold 3 and 10 data"),
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


# Callbacks.


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
    monkeypatch.setattr(resident_jax, "CHUNK", 3)
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
    monkeypatch.setattr(resident_jax, "CHUNK", 3)
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
    monkeypatch.setattr(resident_jax, "CHUNK", 2)

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


# Binarised afresh.


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
        return (np.asarray(resident_jax.bernoulli(self.batches.data.untransformed(places), key)),)

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
def test_draws_have_their_means_and_change_with_seed_epoch_and_batch():
    def keys(seed):
        batches = stream(seed=seed)
        for _ in range(2):
            batches.on_epoch_end()
            yield from (jax.random.fold_in(batches.key(), i) for i in range(2))

    means = np.linspace(0.0, 1.0, 5, dtype="float32")[:, None].repeat(4000, axis=1)
    seen = [np.asarray(resident_jax.bernoulli(means, k)) for s in (1, 2**40) for k in keys(s)]
    assert len({draw.tobytes() for draw in seen}) == 8
    assert set(np.unique(seen)) == {0.0, 1.0}
    np.testing.assert_allclose(np.mean(seen, axis=(0, 2)), means[:, 0], atol=0.02)
    assert stream(Batches).key() is not None
    assert from_arrays(data(4), data(3)).batches("test", 4).key() is None


# Bytes that are mapped into memory.


def cached(binarization="none"):
    """The bytes above as a cache holds them: both parts in one array, in an order of its own."""
    pixels = BYTES[np.random.default_rng(1).permutation(23)].astype("uint8")
    train, test = CachedImages(pixels, np.arange(20)[::-1]), CachedImages(pixels, np.arange(20, 23))
    return Dataset("cached", train, test).binarized(binarization, seed=3)


@on_jax
@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("binarization", ["none", "threshold", "static", "dynamic"])
def test_a_cache_goes_to_the_device_as_bytes_and_means_what_it_means_in_a_stream(
    binarization, part, monkeypatch
):
    monkeypatch.setattr(resident_jax, "PIECE", 7 * 6)  # several pieces
    data = cached(binarization)
    x, y, weight = data.batches(part, 4).arrays()
    assert y is weight is None
    room = _Room(forced=True)
    column = _put(x, room)
    assert column.values.dtype == np.uint8 and room.taken == column.values.nbytes
    places = range(data.count(part))
    fresh = data.draws_afresh(part)
    expected = (data.read_grey if fresh else data.read)(part, places)
    seen = np.asarray(column(np.array(places)))
    assert seen.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(seen, expected)


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
