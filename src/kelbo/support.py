"""Where data may lie, and what to do about data that lie elsewhere. Imports no framework."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kelbo.errors import DataError

# Rounding in other people's scaling may end this far outside the support.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Support:
    """Where the values of one datum may lie.

    Attributes:
        kind: "real": any number; "interval": from `low` to `high`; "counts": 0, 1, 2, ...;
            "classes": the whole numbers from `low` to `high`; "simplex": shares >= 0 that sum to 1
            over the last axis.
        low: the smallest value.
        high: the largest value.
    """

    kind: Literal["real", "interval", "counts", "classes", "simplex"]
    low: float = -math.inf
    high: float = math.inf

    def check(self, x: np.ndarray, owner: str = "model") -> None:
        """Check that data lie here.

        Args:
            x: (n, *event), with n >= 1.
            owner: whose support it is, for the message.

        Raises:
            DataError: a value is NaN, infinite, or outside; the message has the cure.
        """
        if not np.issubdtype(x.dtype, np.number) and x.dtype != bool:
            raise DataError(f"Expected numbers, received an array of dtype {x.dtype}.")
        smallest, largest = float(np.min(x)), float(np.max(x))
        # NaN and infinity survive min and max, so a clean array costs two passes and no copy.
        if not np.isfinite(smallest) or not np.isfinite(largest):
            raise _not_finite(x)
        expected = f"A {owner} expects {self}"
        if not (smallest >= self.low - _TOLERANCE and largest <= self.high + _TOLERANCE):
            raise DataError(
                f"{expected}, but the data lie in [{smallest:g}, {largest:g}]. "
                f"{self._cure(smallest, largest)}"
            )
        if self.kind in ("counts", "classes") and not np.array_equal(x, np.round(x)):
            raise DataError(
                f"{expected}, but the data have fractions. If they are measurements, use a "
                "likelihood of real numbers, as GaussianLikelihood; if they were scaled, undo that."
            )
        if self.kind == "simplex":
            _check_sums(x, expected)

    def _cure(self, smallest: float, largest: float) -> str:
        if self.kind == "counts":
            return "Use a likelihood of real numbers, as GaussianLikelihood, or undo the scaling."
        if self.kind == "classes":
            classes = self.high - self.low + 1
            if largest - smallest < classes:
                return f"Number the classes from {self.low:g}: x - {smallest - self.low:g}."
            return f"There are more than {classes:g} classes: ask for as many as there are."
        if self.kind == "simplex":
            return "Shares are amounts of at least 0, divided by x.sum(axis=-1, keepdims=True)."
        if (self.low, self.high) == (0.0, 1.0):
            if smallest >= 0.0 and 2.0 < largest <= 255.0:
                return "These look like 8-bit pixels: divide them by 255."
            if smallest >= -0.1 and largest <= 1.1:
                return "A filter or rounding seems to have overshot: use numpy.clip(x, 0, 1)."
            if smallest >= -1.0 and largest <= 1.0:
                return "These look like data scaled to [-1, 1]: use (x + 1) / 2."
        return "Rescale the data, or use a GaussianLikelihood, which takes any real value."

    def __str__(self) -> str:
        if self.kind == "counts":
            return "counts (0, 1, 2, ...)"
        if self.kind == "classes":
            return f"whole numbers from {self.low:g} to {self.high:g}"
        if self.kind == "simplex":
            return "shares of at least 0 that sum to 1"
        return f"values in [{self.low:g}, {self.high:g}]"


REAL = Support("real")
UNIT_INTERVAL = Support("interval", 0.0, 1.0)
COUNTS = Support("counts", 0.0)
SIMPLEX = Support("simplex", 0.0, 1.0)


def _not_finite(x: np.ndarray) -> DataError:
    bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
    return DataError(
        f"The data have NaN or infinite values in {bad.sum()} of {len(x)} rows (the first "
        f"is row {int(np.argmax(bad))}). Every value must be finite: remove those rows, "
        "for example with x[np.isfinite(x).all(axis=tuple(range(1, x.ndim)))]."
    )


def _check_sums(x: np.ndarray, expected: str) -> None:
    sums = np.sum(x, axis=-1, dtype="float64")
    worst = float(sums.flat[np.argmax(np.abs(sums - 1.0))])
    # Shares in float32 sum to 1 within the rounding of each.
    if abs(worst - 1.0) > 1e-4:
        raise DataError(
            f"{expected}, but a sum is {worst:g}. Divide by x.sum(axis=-1, keepdims=True)."
        )
