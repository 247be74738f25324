"""Epochs that stay on the device, on JAX: the data lie there, and many training steps are one scan.

Keras's own loop still runs; three things that it is handed are exchanged:

- for the batches: `Chunks`, the places of many batches' data in arrays on the device;
- for the compiled train step: one compiled `lax.scan` of that step over the batches of a chunk;
- for the callbacks: a list of the same callbacks that counts in batches where Keras counts chunks.

All else is Keras's: History, validation, early stopping, schedules and the state of the model. The
order of the data is drawn as Keras draws it, so both ways see the same batches.
"""

import functools
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np

from kelbo.data.at_hand import Bytes, Source
from kelbo.errors import UsageError

logger = logging.getLogger("kelbo")

# Steps in a chunk: callbacks, the progress bar and Ctrl-C get their turn after each.
CHUNK = 128
# Steps that the compiled loop takes in one turn; a small step is no longer than the turn itself.
# Unrolled, XLA makes a fifth fewer kernels of a step for a GPU; more than four gain hardly another
# (docs/architecture.md).
UNROLL = 4
# Data are sent in pieces of so many values, so that 8-bit ones never fill the device as floats.
PIECE = 2**24
# Where a device does not say how much memory it has, data of so many bytes are taken to fit.
UNKNOWN_ROOM = 2**30

_TRAIN_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end")

# The ways in which a byte becomes a float32 in [0, 1]. They differ in the last digit.
_BYTES = np.arange(256, dtype=np.float32)
_TABLES = (_BYTES / np.float32(255), _BYTES * np.float32(1 / 255))


@contextmanager
def resident_epochs(
    model: keras.Model, resident: bool | str, arguments: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Prepare `fit` to run on data that lie on the device, if that can be.

    Args:
        model: compiled.
        resident: "auto": on accelerators, if nothing forbids it; True: on any device; False: not.
        arguments: of `keras.Model.fit`.

    Yields:
        The arguments to call `keras.Model.fit` with. They are unchanged, and the log says why,
        where something forbids it.

    Raises:
        UsageError: `resident` is True and something forbids it, or it is none of the three.
    """
    if not isinstance(resident, bool) and resident != "auto":
        raise UsageError(f'resident is expected to be "auto", True or False, not {resident!r}.')
    if resident is False:
        yield arguments
        return
    try:
        arguments = _arrange(model, resident is True, arguments)
    except _Forbidden as reason:
        if resident is True:
            raise UsageError(f"fit(resident=True) cannot be: {reason}.") from None
        logger.info("fit goes batch by batch, in Keras's loop: %s.", reason)
        yield arguments
        return
    callbacks = arguments["callbacks"]
    compiled = model.steps_per_execution, model.train_function, model.test_function
    if model.steps_per_execution > 1:
        # A chunk is one step to Keras. Its functions know how many they were made for.
        model.steps_per_execution, model.train_function, model.test_function = 1, None, None
    try:
        yield arguments
    finally:
        callbacks.give_back()
        if compiled[0] > 1:
            model.steps_per_execution, model.train_function, model.test_function = compiled


def forget(model: keras.Model) -> None:
    """Forget the compiled scans of a model, as `compile` must."""
    model.__dict__.pop("_scans", None)


class _Forbidden(Exception):
    """Why the data cannot stay on the device; a sentence without its full stop."""


# What is trained on.


class _Arrays:
    """Arrays as `keras.Model.fit` takes them; a `Source`."""

    def __init__(self, x: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool):
        self._arrays = x, None if y is x else y, sample_weight
        self.batch_size = batch_size
        self.shuffle = shuffle

    def arrays(self) -> tuple[Any, Any, Any]:
        return self._arrays

    def order(self) -> np.ndarray:
        count = len(self._arrays[0])
        # Keras's own draw, from NumPy's global state, at the same moment.
        return np.random.permutation(count) if self.shuffle else np.arange(count)

    def key(self) -> None:
        return None

    def on_epoch_end(self) -> None:
        pass


class Chunks(keras.utils.PyDataset):
    """Chunks of batches, as places in the data; what Keras's loop takes for batches.

    Attributes:
        bounds: of every chunk the first batch, and the one after the last.
    """

    def __init__(self, source: Source, count: int, steps_per_execution: int = 1):
        super().__init__()
        self.source = source
        self.batches = math.ceil(count / source.batch_size)
        self.bounds = _bounds(count, source.batch_size, steps_per_execution)

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if index == 0:
            self._order = self.source.order().astype(np.int32)
            self._key = self.source.key()
        (first, end), size = self.bounds[index], self.source.batch_size
        places = self._order[first * size : end * size]
        whole = len(places) // size
        chunk = {
            "whole": places[: whole * size].reshape(whole, size),
            "partial": places[whole * size :].reshape(1, -1),
        }
        chunk = {name: part for name, part in chunk.items() if part.size}
        return (
            chunk | {"first": np.int32(first)} | ({} if self._key is None else {"key": self._key})
        )

    def on_epoch_end(self) -> None:
        """Pass it on."""
        self.source.on_epoch_end()


def _bounds(count: int, batch_size: int, steps_per_execution: int) -> list[tuple[int, int]]:
    """The first batch of every chunk and the one after its last.

    As many batches as the user asked for; without that, whole batches in chunks of one length,
    or of two, for each length is compiled.
    """
    batches = math.ceil(count / batch_size)
    if steps_per_execution > 1:
        starts = [*range(0, batches, steps_per_execution), batches]
    else:
        whole = max(count // batch_size, 1)
        fewest = math.ceil(whole / CHUNK)
        chunks = next((n for n in range(fewest, 2 * fewest) if whole % n == 0), fewest)
        starts = [*(whole * i // chunks for i in range(chunks)), batches]
    return list(zip(starts[:-1], starts[1:], strict=True))


# The decision, and what `fit` is handed.


def _arrange(model: keras.Model, forced: bool, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments for Keras's loop.

    Raises:
        _Forbidden: it cannot be.
    """
    _check_place(forced)
    _check_model(model)
    _check_arguments(arguments)
    given = arguments.get("callbacks")
    callbacks = keras.tree.flatten(given) if given else []
    if model.steps_per_execution == 1:  # else Keras itself calls them once in so many batches
        _check_hooks(callbacks, _TRAIN_HOOKS)
    arguments = _split_validation(arguments)
    source = _source(arguments)
    room = _Room(forced)
    train = _Resident(model, "train_step", source, room)
    arguments |= {
        "x": train.chunks,
        "y": None,
        "sample_weight": None,
        "shuffle": False,
        "validation_batch_size": arguments.get("validation_batch_size")
        or arguments.get("batch_size"),
    }
    test = None
    if arguments.get("validation_data") is not None:
        try:
            _check_hooks(callbacks, _TEST_HOOKS)
            test = _Resident(model, "test_step", _validation(arguments), room)
            arguments["validation_data"] = test.chunks
        except _Forbidden as reason:
            logger.info("Validation goes batch by batch, in Keras's loop: %s.", reason)
    logger.info(
        "fit stays on the device: %s MB of data, an epoch of %s batches in %s scans.",
        f"{room.taken / 1e6:,.1f}",
        train.chunks.batches,
        len(train.chunks),
    )
    verbose = arguments.get("verbose", "auto")
    arguments["callbacks"] = _ChunkCallbacks(
        callbacks,
        train,
        test,
        add_history=True,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=arguments.get("epochs", 1),
        steps=train.chunks.batches,
        model=model,
    )
    return arguments


def _check_place(forced: bool) -> None:
    if keras.backend.backend() != "jax":
        raise _Forbidden(f"the backend is {keras.backend.backend()}, not jax")
    import jax

    if not forced and jax.default_backend() == "cpu":
        raise _Forbidden("the device is a CPU, where a loop is faster than a scan")
    if keras.config.is_nnx_enabled():
        raise _Forbidden("Keras runs with NNX")
    if keras.distribution.distribution() is not None:
        raise _Forbidden("a keras.distribution is set")
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        raise _Forbidden("Keras is told to limit epochs or steps")


def _check_model(model: keras.Model) -> None:
    for name in ("train_step", "make_train_function"):
        if getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name):
            raise _Forbidden(f"{type(model).__name__} has its own {name}")
    if model.run_eagerly:
        raise _Forbidden("the model is compiled with run_eagerly=True")
    if not model.jit_compile:
        raise _Forbidden("the model is compiled with jit_compile=False")
    if not all(layer.built for layer in model._flatten_layers()):
        raise _Forbidden("a layer is not built yet, and Keras builds it from a batch")


def _check_arguments(arguments: dict[str, Any]) -> None:
    for name in ("steps_per_epoch", "class_weight"):
        if arguments.get(name) is not None:
            raise _Forbidden(f"{name} is given")
    batch_size = arguments.get("batch_size")
    if batch_size is not None and not (isinstance(batch_size, int) and batch_size > 0):
        raise _Forbidden(f"batch_size is {batch_size!r}")
    if arguments.get("shuffle", True) == "batch":
        raise _Forbidden('shuffle is "batch"')
    if isinstance(arguments.get("callbacks"), keras.callbacks.CallbackList):
        raise _Forbidden("the callbacks are a CallbackList, not a list")


def _check_hooks(callbacks: list[Any], hooks: tuple[str, ...]) -> None:
    for callback in callbacks:
        own = [hook for hook in hooks if _overridden(callback, hook)]
        if own and not _is_chunk_safe(callback):
            raise _Forbidden(
                f"the callback {type(callback).__name__} has {' and '.join(own)}, to be called "
                "for every batch (chunk_safe = True in its class lifts that, and so does "
                "compile(steps_per_execution=...), where batches come in groups anyway)"
            )


def _overridden(callback: Any, hook: str) -> bool:
    default = getattr(keras.callbacks.Callback, hook)
    return getattr(getattr(callback, hook), "__func__", None) is not default


def _is_chunk_safe(callback: Any) -> bool:
    """Whether the hooks of a callback may come once a chunk: Keras's own do not say so."""
    known = keras.callbacks
    if isinstance(callback, (known.ModelCheckpoint, known.BackupAndRestore)):
        return callback.save_freq == "epoch"
    if isinstance(callback, known.TensorBoard):
        return callback.update_freq == "epoch" and not getattr(callback, "_should_trace", True)
    if isinstance(callback, (known.ProgbarLogger, known.TerminateOnNaN)):
        return True
    return bool(getattr(callback, "chunk_safe", False))


def _split_validation(arguments: dict[str, Any]) -> dict[str, Any]:
    """As Keras does it: the last part of the arrays is for validation."""
    fraction = arguments.get("validation_split")
    if not fraction or arguments.get("validation_data") is not None:
        return dict(arguments)
    names = ("x", "y", "sample_weight")
    arrays = {name: arguments.get(name) for name in names}
    count = _check_arrays(*arrays.values())
    at = math.floor(count * (1.0 - fraction))
    if not 0 < at < count:
        raise _Forbidden(f"validation_split={fraction} leaves nothing on one side")
    if arrays["y"] is arrays["x"]:
        arrays["y"] = None
    split = {name: (a, a) if a is None else (a[:at], a[at:]) for name, a in arrays.items()}
    return (
        arguments
        | {name: split[name][0] for name in names}
        | {"validation_split": 0.0, "validation_data": tuple(split[name][1] for name in names)}
    )


def _source(arguments: dict[str, Any]) -> Source:
    x, shuffle = arguments.get("x"), arguments.get("shuffle", True)
    if isinstance(x, Source):
        if x.arrays() is None:
            raise _Forbidden(f"the images of the {type(x).__name__} are read batch by batch")
        if shuffle:
            raise _Forbidden(
                f"shuffle=True would shuffle the batches of the {type(x).__name__}, which shuffles "
                "by itself: shuffle=False leaves it to it"
            )
        return x
    y, sample_weight = arguments.get("y"), arguments.get("sample_weight")
    return _Arrays(x, y, sample_weight, arguments.get("batch_size") or 32, bool(shuffle))


def _validation(arguments: dict[str, Any]) -> Source:
    if arguments.get("validation_steps") is not None:
        raise _Forbidden("validation_steps is given")
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(arguments["validation_data"])
    if isinstance(x, Source) and x.arrays() is not None:
        return x
    return _Arrays(x, y, sample_weight, arguments["validation_batch_size"] or 32, shuffle=False)


def _check_arrays(*arrays: Any) -> int:
    """The number of data in arrays of equal length, None aside."""
    import jax

    for array in arrays:
        if array is not None and not isinstance(array, (np.ndarray, jax.Array, Bytes)):
            raise _Forbidden(f"the data are a {type(array).__name__}, not an array")
    given = [array for array in arrays if array is not None]
    if not given or not all(isinstance(array, Bytes) or _is_numbers(array) for array in given):
        raise _Forbidden("there are no numbers")
    lengths = {len(array) for array in given}
    if len(lengths) > 1 or lengths == {0}:
        raise _Forbidden(f"the arrays hold {' and '.join(map(str, sorted(lengths)))} data")
    return lengths.pop()


def _is_numbers(array: Any) -> bool:
    return array.ndim > 0 and array.dtype.kind in "fiub"


# Memory.


class _Room:
    """Memory of the device that data may take: half of what is free, for the steps need room too.

    Attributes:
        taken: bytes.
    """

    def __init__(self, forced: bool):
        import jax

        statistics = jax.local_devices()[0].memory_stats() or {}
        self.taken = 0
        self.left: float = math.inf if forced else UNKNOWN_ROOM
        if "bytes_limit" in statistics:
            self.left = (statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)) // 2

    def take(self, size: int) -> None:
        if size > self.left:
            raise _Forbidden(
                f"the data need {size / 1e6:,.0f} MB on the device, where "
                f"{self.left / 1e6:,.0f} MB are for them"
            )
        self.left -= size
        self.taken += size


class _Column(NamedTuple):
    """An array on the device, as it is or as bytes that point into a table of 256 floats."""

    values: Any
    table: Any

    def __call__(self, places: Any) -> Any:
        """What Keras would put into a batch: the data at `places`."""
        values = self.values.at[places].get(mode="promise_in_bounds")
        if self.table is None:
            return values
        return self.table.at[values].get(mode="promise_in_bounds")


def _put(array: Any, room: _Room) -> _Column:
    """An array on the device, as bytes if 8 bits hold it exactly.

    Raises:
        _Forbidden: there is no room.
    """
    import jax

    if isinstance(array, Bytes):
        return _put_bytes(array, room)
    dtype = keras.config.floatx() if array.dtype.kind == "f" else array.dtype
    table = _table(array) if dtype == "float32" else None
    if table is not None:
        room.take(array.size)
        codes = _as_bytes(array, table)
        if codes is not None:
            return _Column(codes, jax.device_put(table))
        room.take(-array.size)
    room.take(array.size * np.dtype(dtype).itemsize)
    if isinstance(array, jax.Array):
        return _Column(array.astype(dtype), None)
    return _Column(jax.device_put(np.asarray(array, dtype)), None)


def _put_bytes(data: Bytes, room: _Room) -> _Column:
    """Bytes on the device, sent in pieces."""
    import jax
    import jax.numpy as jnp

    shape = data.read(range(1)).shape[1:]
    room.take(len(data) * math.prod(shape))
    codes = jnp.zeros((len(data), *shape), "uint8")
    rows = max(1, PIECE // max(1, math.prod(shape)))
    for start in range(0, len(data), rows):
        piece = data.read(range(start, min(start + rows, len(data))))
        codes = _writer()(codes, piece, start)
    return _Column(codes, jax.device_put(_TABLES[0]))


@functools.cache
def _writer() -> Callable[..., Any]:
    import jax

    def write(codes: Any, piece: Any, start: Any) -> Any:
        return jax.lax.dynamic_update_slice_in_dim(codes, piece, start, 0)

    return jax.jit(write, donate_argnums=0)


def _table(array: Any) -> np.ndarray | None:
    """The table that has the first values of the array, if one of the two has."""
    rows = max(1, 2**18 // max(1, math.prod(array.shape[1:])))
    head = np.asarray(array[:rows], np.float32)
    with np.errstate(invalid="ignore"):
        codes = np.clip(np.rint(head * 255), 0, 255).astype(np.uint8)
    return next((table for table in _TABLES if np.array_equal(table[codes], head)), None)


def _as_bytes(array: Any, table: np.ndarray) -> Any:
    """The places of the array's values in the table; None if one is not there."""
    import jax.numpy as jnp

    codes = jnp.zeros(array.shape, "uint8")
    rows = max(1, PIECE // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), rows):
        piece = np.asarray(array[start : start + rows], np.float32)
        codes, exact = _encoder()(codes, piece, start, table)
        if not exact:  # asking waits: no more than one piece is on the device
            return None
    return codes


@functools.cache
def _encoder() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def encode(codes: Any, piece: Any, start: Any, table: Any) -> Any:
        new = jnp.clip(jnp.rint(piece * 255), 0, 255).astype("uint8")
        exact = jnp.all(table[new] == piece)
        return jax.lax.dynamic_update_slice_in_dim(codes, new, start, 0), exact

    return jax.jit(encode, donate_argnums=0)


# Steps.


class _Resident:
    """Data on the device, and the function that Keras's loop calls to take a chunk of steps."""

    def __init__(self, model: keras.Model, step: str, source: Source, room: _Room):
        import jax

        arrays = source.arrays() or ()
        count = _check_arrays(*arrays)
        self.chunks = Chunks(source, count, model.steps_per_execution)
        try:
            self.columns = [None if array is None else _put(array, room) for array in arrays]
        except jax.errors.JaxRuntimeError as error:
            raise _Forbidden(f"the device has no room for the data ({error})") from None
        self.scan = _scan(model, step)

    def __call__(self, state: Any, iterator: Iterator[dict[str, Any]]) -> tuple[Any, Any]:
        """Take the steps of the next chunk: the logs of every step, in parts, and the new state."""
        chunk = next(iterator)
        first, key = chunk["first"], chunk.get("key")
        parts = []
        for name in ("whole", "partial"):
            if name in chunk:
                logs, state = self.scan(state, self.columns, chunk[name], first, key)
                first = first + len(chunk[name])
                parts.append(logs)
        return {name: [part[name] for part in parts] for name in parts[0]}, state


def _scan(model: keras.Model, step: str) -> Callable[..., Any]:
    """The compiled scan of a model's step, kept with the model until it is compiled anew."""
    import jax

    scans = model.__dict__.setdefault("_scans", _Scans())  # past Keras's tracking of attributes
    if step not in scans.made:
        unroll = 1 if jax.default_backend() == "cpu" else UNROLL
        scans.made[step] = jax.jit(
            functools.partial(_steps, getattr(model, step), unroll), donate_argnums=0
        )
    return scans.made[step]


class _Scans:
    def __init__(self) -> None:
        self.made: dict[str, Callable[..., Any]] = {}


def _steps(
    step: Callable[..., Any],
    unroll: int,
    state: Any,
    columns: list[_Column | None],
    places: Any,
    first: Any,
    key: Any,
) -> tuple[Any, Any]:
    """Steps over batches of one size.

    Args:
        step: Keras's stateless step, (state, batch) -> (logs, state).
        unroll: steps in one turn of the loop.
        state: of the model.
        columns: x, y and sample weights.
        places: (steps, batch size), of the data in the columns.
        first: the number of the first batch.
        key: of Bernoulli draws, or None.

    Returns:
        The logs of every step, (steps,) each, and the new state.
    """
    import jax
    import jax.numpy as jnp

    def body(state: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        number, at = batch
        x, y, sample_weight = [None if column is None else column(at) for column in columns]
        if key is not None:
            x = bernoulli(x, jax.random.fold_in(key, number))
        logs, new = step(state, (x, y, sample_weight))
        return jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(new)), logs

    numbers = first + jnp.arange(len(places))
    state, logs = jax.lax.scan(body, state, (numbers, places), unroll=min(unroll, len(places)))
    return logs, state


def bernoulli(means: Any, key: Any) -> Any:
    """Draws of 0 or 1 with these means, of their shape and type."""
    import jax

    return (jax.random.uniform(key, means.shape) < means).astype(means.dtype)


# Callbacks.


class _ChunkCallbacks(keras.callbacks.CallbackList):
    """Callbacks that hear of batches where Keras tells of chunks.

    The scans are lent to the model only while its own loop runs, so that a callback may call
    `evaluate` between epochs.
    """

    def __init__(self, callbacks: Any, train: _Resident, test: _Resident | None, **kwargs: Any):
        self._train, self._test = train, test
        self._lent: dict[str, Any] = {}
        super().__init__(callbacks, **kwargs)

    def _lend(self, name: str, function: _Resident) -> None:
        self._lent[name] = getattr(self.model, name)
        setattr(self.model, name, function)

    def give_back(self) -> None:
        """Give the model back its own functions."""
        while self._lent:
            setattr(self.model, *self._lent.popitem())

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._lend("train_function", self._train)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_begin(self._train.chunks.bounds[batch][0], logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        first, end = self._train.chunks.bounds[batch]
        values = _of_every_step(logs)
        finite = np.all([np.isfinite(value) for value in values.values()], axis=0)
        last = {end - 1}
        if not np.all(finite):
            # The batch that went, and the one before it, are worth a call of their own.
            broken = first + int(np.argmin(finite))
            last |= {max(broken - 1, first), broken}
        for number in sorted(last):
            step_logs = {name: float(value[number - first]) for name, value in values.items()}
            super().on_train_batch_end(number, step_logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self.give_back()
        super().on_test_begin(logs)
        if self._test is not None:
            self._lend("test_function", self._test)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._test is not None:
            batch = self._test.chunks.bounds[batch][0]
        super().on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._test is not None:
            batch = self._test.chunks.bounds[batch][1] - 1
            logs = {name: float(value[-1]) for name, value in _of_every_step(logs).items()}
        super().on_test_batch_end(batch, logs)

    def on_test_end(self, logs: Any = None) -> None:
        self.give_back()
        super().on_test_end(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.give_back()
        super().on_epoch_end(epoch, logs)


def _of_every_step(logs: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    """The logs of a chunk, (steps,) each; waits for the chunk to end."""
    import jax

    # All at once: one by one each would be a wait of its own.
    return {name: np.concatenate(parts) for name, parts in jax.device_get(logs).items()}
