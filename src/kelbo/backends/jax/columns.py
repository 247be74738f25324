"""What lies on the device: the data, as bytes where 8 bits hold them, and their room."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from kelbo.backends.jax.forbidden import Forbidden
from kelbo.data.at_hand import Bytes

# Data are sent in pieces of so many values, so that 8-bit ones never fill the device as floats.
PIECE = 2**24
# Where a device does not say how much memory it has, data of so many bytes are taken to fit.
UNKNOWN_ROOM = 2**30

# The ways in which a byte becomes a float32 in [0, 1]. They differ in the last digit.
_BYTES = np.arange(256, dtype=np.float32)
_TABLES = (_BYTES / np.float32(255), _BYTES * np.float32(1 / 255))


def check_arrays(*arrays: Any) -> int:
    """The number of data in arrays of equal length, None aside."""
    import jax

    for array in arrays:
        if array is not None and not isinstance(array, (np.ndarray, jax.Array, Bytes)):
            raise Forbidden(f"the data are a {type(array).__name__}, not an array")
    given = [array for array in arrays if array is not None]
    if not given or not all(isinstance(array, Bytes) or _is_numbers(array) for array in given):
        raise Forbidden("there are no numbers")
    lengths = {len(array) for array in given}
    if len(lengths) > 1 or lengths == {0}:
        raise Forbidden(f"the arrays hold {' and '.join(map(str, sorted(lengths)))} data")
    return lengths.pop()


def _is_numbers(array: Any) -> bool:
    return array.ndim > 0 and array.dtype.kind in "fiub"


class Room:
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
        """Take room for so many bytes.

        Raises:
            Forbidden: there is not so much left.
        """
        if size > self.left:
            raise Forbidden(
                f"the data need {size / 1e6:,.0f} MB on the device, where "
                f"{self.left / 1e6:,.0f} MB are for them"
            )
        self.left -= size
        self.taken += size


class Column(NamedTuple):
    """An array on the device, as it is or as bytes that point into a table of 256 floats."""

    values: Any
    table: Any

    def __call__(self, places: Any) -> Any:
        """What Keras would put into a batch: the data at `places`."""
        values = self.values.at[places].get(mode="promise_in_bounds")
        if self.table is None:
            return values
        return self.table.at[values].get(mode="promise_in_bounds")


def put(array: Any, room: Room) -> Column:
    """An array on the device, as bytes if 8 bits hold it exactly.

    Raises:
        Forbidden: there is no room.
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
            return Column(codes, jax.device_put(table))
        room.take(-array.size)
    room.take(array.size * np.dtype(dtype).itemsize)
    if isinstance(array, jax.Array):
        return Column(array.astype(dtype), None)
    return Column(jax.device_put(np.asarray(array, dtype)), None)


def _put_bytes(data: Bytes, room: Room) -> Column:
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
    return Column(codes, jax.device_put(_TABLES[0]))


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
