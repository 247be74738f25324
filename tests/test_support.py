"""What data are refused, with the cure of each kind of support."""

import math

import numpy as np
import pytest

from kelbo.errors import DataError
from kelbo.support import COUNTS, REAL, SIMPLEX, UNIT_INTERVAL, Support

CLASSES = Support("classes", 0, 9)
POSITIVE = Support("interval", 0.0)
SHARES = np.full((4, 3, 2), 0.5)


@pytest.mark.parametrize(
    ("support", "x"),
    [
        (REAL, np.array([[-1e6, 1e6]])),
        (UNIT_INTERVAL, np.array([[0.0, 1.0 + 1e-7]])),
        (UNIT_INTERVAL, np.array([[True, False]])),
        (POSITIVE, np.array([[0.0, 1e9]])),
        (COUNTS, np.array([[0, 7, 1000]])),
        (COUNTS, np.array([[0.0, 7.0]], "float32")),
        (CLASSES, np.arange(10)[:, None]),
        (SIMPLEX, SHARES.astype("float32")),
    ],
)
def test_data_in_the_support_are_taken(support, x):
    assert support.check(x) is None


@pytest.mark.parametrize(
    ("support", "x", "message"),
    [
        (REAL, np.array([[1.0], [np.nan]]), r"NaN or infinite values in 1 of 2 rows .* is row 1\)"),
        (REAL, np.array([[-math.inf]]), "NaN or infinite"),
        (REAL, np.array([["a"]]), "Expected numbers, received an array of dtype <U1"),
        (UNIT_INTERVAL, np.array([[0, 255]], "uint8"), r"A M expects values in \[0, 1\].* by 255"),
        (UNIT_INTERVAL, np.array([[-1.0, 1.0]]), r"scaled to \[-1, 1\]"),
        (UNIT_INTERVAL, np.array([[0.0, 1.02]]), "numpy.clip"),
        (UNIT_INTERVAL, np.array([[-9.0, 4.0]]), "GaussianLikelihood"),
        (POSITIVE, np.array([[-1.0, 4.0]]), r"in \[0, inf\].*Rescale"),
        (COUNTS, np.array([[-1, 4]]), "expects counts .*undo the scaling"),
        (COUNTS, np.array([[0.5, 4]]), "have fractions.*GaussianLikelihood"),
        (CLASSES, np.array([[1], [10]]), "whole numbers from 0 to 9.*from 0: x - 1"),
        (CLASSES, np.array([[0], [10]]), "more than 10 classes"),
        (CLASSES, np.array([[0.5]]), "have fractions"),
        (SIMPLEX, 4 * SHARES, r"divided by x.sum\(axis=-1, keepdims=True\)"),
        (SIMPLEX, 0.9 * SHARES, "a sum is 0.9"),
        (SIMPLEX, -SHARES, "amounts of at least 0"),
    ],
)
def test_other_data_are_refused_with_a_cure(support, x, message):
    with pytest.raises(DataError, match=message):
        support.check(x, "M")
