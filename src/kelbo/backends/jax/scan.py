"""The compiled steps: one `lax.scan` of Keras's stateless step over the batches of a chunk."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kelbo.backends.jax.chunks import Chunks
from kelbo.backends.jax.columns import Column, Room, check_arrays, put
from kelbo.backends.jax.forbidden import Forbidden
from kelbo.data.at_hand import Source

# Steps that the compiled loop takes in one turn; a small step is no longer than the turn itself.
# Unrolled, XLA makes a fifth fewer kernels of a step for a GPU; more than four gain hardly another
# (docs/architecture.md).
UNROLL = 4


class Resident:
    """Data on the device, and the function that Keras's loop calls to take a chunk of steps."""

    def __init__(self, model: keras.Model, step: str, source: Source, room: Room):
        import jax

        arrays = source.arrays() or ()
        count = check_arrays(*arrays)
        self.chunks = Chunks(source, count, model.steps_per_execution)
        try:
            self.columns = [None if array is None else put(array, room) for array in arrays]
        except jax.errors.JaxRuntimeError as error:
            raise Forbidden(f"the device has no room for the data ({error})") from None
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


def forget(model: keras.Model) -> None:
    """Forget the compiled scans of a model, as `compile` must."""
    model.__dict__.pop("_scans", None)


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
    columns: list[Column | None],
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
