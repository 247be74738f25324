"""Chunks hold every batch once, in order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.backends.jax import chunks
from kelbo.backends.jax.chunks import Chunks, chunk_bounds
from kelbo.backends.jax.sources import Arrays

jax = pytest.importorskip("jax")


@given(n=st.integers(1, 3000), batch_size=st.integers(1, 40), group=st.integers(1, 9))
def test_chunks_hold_every_batch_once_and_few_lengths_are_compiled(n, batch_size, group):
    bounds = chunk_bounds(n, batch_size, group)
    batches = math.ceil(n / batch_size)
    assert [first for first, _ in bounds] == [0, *(end for _, end in bounds[:-1])]
    assert bounds[-1][1] == batches
    whole = {min(end, n // batch_size) - first for first, end in bounds} - {0}
    assert len(whole) <= 2
    if group > 1:
        assert {end - first for first, end in bounds[:-1]} <= {group}
    else:
        assert max(whole, default=1) <= chunks.CHUNK


@given(n=st.integers(1, 60), batch_size=st.integers(1, 9), group=st.integers(1, 4))
def test_a_chunk_holds_the_places_of_its_batches_in_order(n, batch_size, group):
    chunks = Chunks(Arrays(np.zeros((n, 1)), None, None, batch_size, shuffle=True), n, group)
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
