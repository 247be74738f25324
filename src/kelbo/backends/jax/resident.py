"""Epochs that stay on the device, on JAX: the data lie there, and many training steps are one scan.

Keras's own loop still runs; three things that it is handed are exchanged:

- for the batches: `Chunks`, the places of many batches' data in arrays on the device;
- for the compiled train step: one compiled `lax.scan` of that step over the batches of a chunk;
- for the callbacks: a list of the same callbacks that counts in batches where Keras counts chunks.

All else is Keras's: History, validation, early stopping, schedules and the state of the model. The
order of the data is drawn as Keras draws it, so both ways see the same batches.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from kelbo.backends.jax.callbacks import TEST_HOOKS, TRAIN_HOOKS, ChunkCallbacks, check_hooks
from kelbo.backends.jax.columns import Room
from kelbo.backends.jax.forbidden import Forbidden
from kelbo.backends.jax.scan import Resident
from kelbo.backends.jax.shared_batches import SharedBatches
from kelbo.backends.jax.sources import split_validation, training_source, validation_source
from kelbo.errors import UsageError

logger = logging.getLogger("kelbo")


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
    except Forbidden as reason:
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


def _arrange(model: keras.Model, forced: bool, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments for Keras's loop.

    Raises:
        Forbidden: it cannot be.
    """
    _check_place(forced)
    _check_model(model)
    _check_arguments(arguments)
    given = arguments.get("callbacks")
    callbacks = keras.tree.flatten(given) if given else []
    if model.steps_per_execution == 1:  # else Keras itself calls them once in so many batches
        check_hooks(callbacks, TRAIN_HOOKS)
    arguments = split_validation(arguments)
    source = training_source(arguments)
    room = Room(forced)
    train = Resident(model, "train_step", source, room)
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
            check_hooks(callbacks, TEST_HOOKS)
            test = Resident(model, "test_step", validation_source(arguments), room)
            arguments["validation_data"] = test.chunks
        except Forbidden as reason:
            logger.info("Validation goes batch by batch, in Keras's loop: %s.", reason)
    logger.info(
        "fit stays on the device: %s MB of data, an epoch of %s batches in %s scans.",
        f"{room.taken / 1e6:,.1f}",
        train.chunks.batches,
        len(train.chunks),
    )
    verbose = arguments.get("verbose", "auto")
    arguments["callbacks"] = ChunkCallbacks(
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
        raise Forbidden(f"the backend is {keras.backend.backend()}, not jax")
    import jax

    if not forced and jax.default_backend() == "cpu":
        raise Forbidden("the device is a CPU, where a loop is faster than a scan")
    if keras.config.is_nnx_enabled():
        raise Forbidden("Keras runs with NNX")
    if keras.distribution.distribution() is not None:
        raise Forbidden("a keras.distribution is set")
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        raise Forbidden("Keras is told to limit epochs or steps")


def _check_model(model: keras.Model) -> None:
    for known in (keras.Model.train_step, SharedBatches.make_train_function):
        if getattr(getattr(model, known.__name__), "__func__", None) is not known:
            raise Forbidden(f"{type(model).__name__} has its own {known.__name__}")
    if model.run_eagerly:
        raise Forbidden("the model is compiled with run_eagerly=True")
    if not model.jit_compile:
        raise Forbidden("the model is compiled with jit_compile=False")
    if not all(layer.built for layer in model._flatten_layers()):
        raise Forbidden("a layer is not built yet, and Keras builds it from a batch")


def _check_arguments(arguments: dict[str, Any]) -> None:
    for name in ("steps_per_epoch", "class_weight"):
        if arguments.get(name) is not None:
            raise Forbidden(f"{name} is given")
    batch_size = arguments.get("batch_size")
    if batch_size is not None and not (isinstance(batch_size, int) and batch_size > 0):
        raise Forbidden(f"batch_size is {batch_size!r}")
    if arguments.get("shuffle", True) == "batch":
        raise Forbidden('shuffle is "batch"')
    if isinstance(arguments.get("callbacks"), keras.callbacks.CallbackList):
        raise Forbidden("the callbacks are a CallbackList, not a list")
