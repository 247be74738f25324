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
        kind: "real": any number; "interval": from `low` to `high`; "open": strictly between
            `low` and `high`; "counts": 0, 1, 2, ...; "classes": the whole numbers from `low` to
            `high`; "levels": 8-bit pixels, k / 255 of a whole number k; "simplex": shares >= 0 that
            sum to 1 over the last axis.
        low: the smallest value.
        high: the largest value.
    """

    kind: Literal["real", "interval", "open", "counts", "classes", "levels", "simplex"]
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
        if self.kind == "open" and not self._is_inside(smallest, largest):
            raise DataError(
                f"{expected}, but some data are {self._end_reached(smallest)} in float32, where "
                f"there is no density. {self._cure_of_ends()}"
            )
        if self.kind == "levels":
            _check_levels(x, expected)
        if self.kind == "simplex":
            _check_sums(x, expected)

    @property
    def inside(self) -> float:
        """A number in the support, to stand for what is not observed; 0 for a simplex."""
        if self.kind not in ("interval", "open"):
            return max(self.low, 0.0) if math.isfinite(self.low) else 0.0
        if math.isfinite(self.low) and math.isfinite(self.high):
            return 0.5 * (self.low + self.high)
        if math.isfinite(self.low):
            return self.low + 1.0
        return self.high - 1.0 if math.isfinite(self.high) else 0.0

    def _is_inside(self, smallest: float, largest: float) -> bool:
        # Densities are computed in float32, to which 1e-50 is 0.
        with np.errstate(over="ignore"):
            return bool(self.low < np.float32(smallest) and np.float32(largest) < self.high)

    def _end_reached(self, smallest: float) -> str:
        return f"{self.low if np.float32(smallest) <= self.low else self.high:g}"

    def _cure_of_ends(self) -> str:
        if (self.low, self.high) == (0.0, 1.0):
            return (
                "Move n data inside by (x * (n - 1) + 0.5) / n (Smithson and Verkuilen 2006), or "
                "use a ContinuousBernoulliLikelihood, which takes 0 and 1."
            )
        if (self.low, self.high) == (0.0, math.inf):
            return (
                "For amounts that may be 0, use a GaussianLikelihood of numpy.log1p(x); for "
                "counts, a NegativeBinomialLikelihood."
            )
        return "Move them inside, or use a GaussianLikelihood, which takes any real value."

    def _cure(self, smallest: float, largest: float) -> str:
        if self.kind == "counts":
            return "Use a likelihood of real numbers, as GaussianLikelihood, or undo the scaling."
        if self.kind == "open" and (self.low, self.high) == (0.0, math.inf):
            return "Use a GaussianLikelihood, which takes any real value."
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
        if self.kind == "levels":
            return "8-bit pixels in [0, 1], multiples of 1/255"
        if self.kind == "open":
            return f"values strictly between {self.low:g} and {self.high:g}"
        return f"values in [{self.low:g}, {self.high:g}]"


REAL = Support("real")
UNIT_INTERVAL = Support("interval", 0.0, 1.0)
COUNTS = Support("counts", 0.0)
OPEN_UNIT_INTERVAL = Support("open", 0.0, 1.0)
POSITIVE = Support("open", 0.0)
LEVELS = Support("levels", 0.0, 1.0)
SIMPLEX = Support("simplex", 0.0, 1.0)


def _not_finite(x: np.ndarray) -> DataError:
    bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
    return DataError(
        f"The data have NaN or infinite values in {bad.sum()} of {len(x)} rows (the first "
        f"is row {int(np.argmax(bad))}). Every value must be finite: remove those rows, "
        "for example with x[np.isfinite(x).all(axis=tuple(range(1, x.ndim)))]."
    )


def _check_levels(x: np.ndarray, expected: str) -> None:
    levels = np.asarray(x, "float64") * 255.0
    worst = float(np.max(np.abs(levels - np.round(levels))))
    # Of pixels in bfloat16 nothing but 0 and 1 would be exact; in float32 each is, within 2e-5.
    if worst > 1e-3:
        raise DataError(
            f"{expected}, but a value lies {worst:.3g} levels from the nearest one: resized, "
            "dequantised and filtered images do. Round them with numpy.round(255 * x) / 255, or "
            "use a likelihood for every value in [0, 1], as ContinuousBernoulliLikelihood."
        )


def _check_sums(x: np.ndarray, expected: str) -> None:
    sums = np.sum(x, axis=-1, dtype="float64")
    worst = float(sums.flat[np.argmax(np.abs(sums - 1.0))])
    # Shares in float32 sum to 1 within the rounding of each.
    if abs(worst - 1.0) > 1e-4:
        raise DataError(
            f"{expected}, but a sum is {worst:g}. Divide by x.sum(axis=-1, keepdims=True)."
        )
