"""Data lie on the device as they are, and take no more room than they may."""

import numpy as np
import pytest

from kelbo.backends.jax import columns
from kelbo.backends.jax.columns import Room, put
from tests.backends.jax.support import KINDS, Device, cached, on_jax

jax = pytest.importorskip("jax")


@on_jax
@pytest.mark.parametrize("kind", KINDS)
def test_data_lie_on_the_device_exactly_as_bytes_where_they_are_bytes(kind, monkeypatch):
    monkeypatch.setattr(columns, "PIECE", 5 * 6)
    array, room = KINDS[kind], Room(forced=True)
    column = put(array, room)
    batch = np.asarray(column(np.arange(23)[::-1]))
    np.testing.assert_array_equal(batch, array[::-1].astype(batch.dtype))
    # As Keras would cast them.
    assert batch.dtype == ("bool" if kind == "bool" else "float32")
    in_bytes = kind not in ("grey", "double")
    assert room.taken == array.size * (1 if in_bytes else 4)


@on_jax
def test_a_value_that_is_no_byte_is_found_wherever_it_is(monkeypatch):
    monkeypatch.setattr(columns, "PIECE", 5 * 6)
    array = np.concatenate([np.zeros((2**18, 1), "float32"), [[0.1]]], dtype="float32")
    room = Room(forced=True)
    np.testing.assert_array_equal(np.asarray(put(array, room)(np.arange(len(array)))), array)
    assert room.taken == array.nbytes


@on_jax
@pytest.mark.parametrize(
    ("statistics", "room"),
    [
        (None, columns.UNKNOWN_ROOM),
        ({"bytes_limit": 1000, "bytes_in_use": 400}, 300),
        ({"bytes_limit": 1000}, 500),
    ],
)
def test_data_may_take_half_of_the_memory_that_is_free(statistics, room, monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: [Device(statistics)])
    assert Room(forced=False).left == room


@on_jax
@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("binarization", ["none", "threshold", "static", "dynamic"])
def test_a_cache_goes_to_the_device_as_bytes_and_means_what_it_means_in_a_stream(
    binarization, part, monkeypatch
):
    monkeypatch.setattr(columns, "PIECE", 7 * 6)  # several pieces
    data = cached(binarization)
    x, y, weight = data.batches(part, 4).arrays()
    assert y is weight is None
    room = Room(forced=True)
    column = put(x, room)
    assert column.values.dtype == np.uint8 and room.taken == column.values.nbytes
    places = range(data.count(part))
    fresh = data.draws_afresh(part)
    expected = (data.read_grey if fresh else data.read)(part, places)
    seen = np.asarray(column(np.array(places)))
    assert seen.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(seen, expected)
