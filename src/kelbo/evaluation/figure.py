"""What a figure of an evaluation is: computed, checked, printed and reported from one declaration.

The declarations themselves are in `kelbo.evaluation.figures`. Neither file needs a backend, so that
the report and the command line read them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

FLOORS = "floors"  # the table of evaluation.json that has the figures of this role


class Kind(Enum):
    """What the value of a figure is."""

    NUMBER = "a number"
    PER_DIMENSION = "a list of numbers"  # one for each latent dimension
    DIMENSIONS = "a list of latent dimensions"  # counted from 0
    TEXT = "text"


class Role(Enum):
    """Where a figure is shown."""

    FIGURE = "in the table"
    BOUND = "in the table and beside the floors: a lower bound on log p(x)"
    FLOOR = "beside the bounds, as -log p(x)"
    DETAIL = "not by itself"


@dataclass(frozen=True)
class Evaluated:
    """What figures are computed from.

    Attributes:
        model: a `kelbo.model.LatentVariableModel`.
        data: the `kelbo.data.Dataset` whose test part is judged.
        batch_size: images at a time.
        num_samples: K of the importance-weighted bound.
        statistics: an array for each statistic, its first axis over the test images: those of
            `kelbo.bounds.statistics`, and best_constant and pixel_entropy (n,), in nats, where the
            model and the data have them (`kelbo.evaluation.floors`); mse, psnr and ssim (n,),
            where they apply (`kelbo.evaluation.similarity`).
        found: figures that are no mean over the test images, by their keys: those of
            `kelbo.evaluation.codes`, `.distances` and `.annealed`.
        discrete: whether the values of the data are, so that p(x) is a probability.
    """

    model: Any
    data: Any
    batch_size: int
    num_samples: int
    statistics: Mapping[str, np.ndarray]
    found: Mapping[str, Any] = field(default_factory=dict)
    discrete: bool = False

    def mean(self, name: str) -> float | None:
        """The mean of a statistic over the test images, None where there is no such statistic."""
        if name not in self.statistics:
            return None
        return float(self.statistics[name].mean(dtype="float64"))

    def per_dimension(self, name: str) -> np.ndarray | None:
        """A statistic of the latent dimensions, float64 (n, d).

        The axes of a z of higher rank are flattened in row-major order.
        """
        if name not in self.statistics:
            return None
        values = self.statistics[name].astype("float64")
        return values.reshape(len(values), -1)


def standard_error(values: np.ndarray | None) -> float | None:
    """Of the mean of values, (n,): None of one value, which knows no spread."""
    if values is None or len(values) < 2:
        return None
    return float(values.std(ddof=1, dtype="float64") / math.sqrt(len(values)))


def two_decimals(value: Any, evaluation: Mapping[str, Any]) -> str:
    """A number of nats: `-103.41`."""
    return f"{value:,.2f}"


def three_digits(value: Any, evaluation: Mapping[str, Any]) -> str:
    """A number of any size: `0.0123`."""
    return f"{value:.3g}"


@dataclass(frozen=True)
class Figure:
    """One figure of an evaluation.

    Attributes:
        key: its name in evaluation.json.
        label: its name for a reader.
        compute: its value from what was evaluated, None where it does not apply.
        unit: its unit, or "".
        meaning: how to read it, in one sentence.
        better: "higher" or "lower" where that is better, or "".
        error: the key of the figure that is its standard error, or "".
        needs: what a model or an evaluation must have for this figure, as "a prior", or "".
        of_likelihood: whether it is log p of the data, or made of it, which one kind of likelihood
            counts otherwise than another.
        detail: what the label needs to be exact, with the keys of other figures in braces.
        kind: what its value is.
        role: where it is shown.
        logged: the term of a training that is the same quantity, or "".
        show: from a value and the whole evaluation to the value as text.
    """

    key: str
    label: str
    compute: Callable[[Evaluated], Any]
    unit: str = ""
    meaning: str = ""
    better: str = ""
    error: str = ""
    needs: str = ""
    of_likelihood: bool = False
    detail: str = ""
    kind: Kind = Kind.NUMBER
    role: Role = Role.FIGURE
    logged: str = ""
    show: Callable[[Any, Mapping[str, Any]], str] = two_decimals

    def value(self, evaluation: Mapping[str, Any]) -> Any:
        """The value in an evaluation, or None where it has none."""
        table = evaluation.get(FLOORS) or {} if self.role is Role.FLOOR else evaluation
        return table.get(self.key)

    def name(self, evaluation: Mapping[str, Any]) -> str:
        """The label with its detail: `Importance-weighted bound, K = 10`."""
        try:
            return (
                f"{self.label}, {self.detail.format_map(evaluation)}" if self.detail else self.label
            )
        except KeyError:
            return self.label

    def standard_error(self, evaluation: Mapping[str, Any]) -> str:
        """Its standard error as text, such as `0.35`, or nothing where it has none."""
        value = evaluation.get(self.error)
        return "" if value is None else self.show(value, evaluation)

    def check(self, value: Any, latent_dim: int) -> None:
        """Check a value that was read.

        Args:
            value: from evaluation.json.
            latent_dim: the number of latent dimensions of the evaluation.

        Raises:
            ValueError: it is not what `kind` says; the message has what was expected and found.
        """
        expected = self.kind.value
        if self.kind is Kind.NUMBER:
            fits = is_number(value)
        elif self.kind is Kind.TEXT:
            fits = isinstance(value, str)
        elif self.kind is Kind.PER_DIMENSION:
            expected = f"a list of {latent_dim} numbers, one for each latent dimension"
            fits = isinstance(value, list) and all(map(is_number, value))
            fits = fits and len(value) == latent_dim
        else:
            expected = f"a list of latent dimensions, whole numbers below {latent_dim}"
            fits = isinstance(value, list) and all(entry in range(latent_dim) for entry in value)
        if not fits:
            raise ValueError(f"expected {self.key} to be {expected}, found {str(value)[:100]}")

    def is_finite(self, value: Any) -> bool:
        """Whether a value that was computed is finite; text is."""
        return self.kind is Kind.TEXT or bool(np.isfinite(value).all())


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
