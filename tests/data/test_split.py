import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.data.split import split
from kelbo.errors import DataError


@given(count=st.integers(2, 500), seed=st.integers(0, 99))
def test_the_split_is_a_partition_with_a_tenth_for_test(count, seed):
    train, test = split(count, seed)
    assert sorted([*train, *test]) == list(range(count))
    assert len(test) == max(1, count // 10)
    for again, first in zip(split(count, seed), (train, test), strict=True):
        np.testing.assert_array_equal(again, first)


def test_the_seed_matters():
    assert split(100, 0)[1].tolist() != split(100, 1)[1].tolist()


def test_one_image_cannot_be_split():
    with pytest.raises(DataError, match="at least 2 images"):
        split(1, 0)
