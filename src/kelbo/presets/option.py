"""An option of a named model, written once: its name, kind, default and meaning."""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from kelbo.errors import UsageError

_NUMBERS: dict[type, type] = {float: Real, int: Integral}
_IN_WORDS: dict[type, str] = {float: "a finite number", int: "a whole number"}


@dataclass(frozen=True)
class Option:
    """One choice that a model leaves to its user.

    Attributes:
        name: as in `--set NAME=VALUE`, in `[model.options]` and in Python.
        kind: float or int.
        default: the model's own.
        meaning: one sentence.
        minimum: the smallest value.
    """

    name: str
    kind: type[float] | type[int]
    default: float
    meaning: str
    minimum: float

    def check(self, value: Any) -> float:
        """The value as the option's kind.

        Raises:
            UsageError: it is of another kind, not finite, or too small.
        """
        # A bool is an int in Python and is none here; 1 will do for 1.0.
        is_number = isinstance(value, _NUMBERS[self.kind]) and not isinstance(value, bool)
        if not is_number or not self.minimum <= float(value) < math.inf:
            raise UsageError(
                f"Expected {self.name} to be {_IN_WORDS[self.kind]} >= {self.minimum:g}, received "
                f"{value!r}."
            )
        return self.kind(value)

    def parse(self, text: str) -> float:
        """The value of a text, as the command line has it.

        Raises:
            UsageError: it is no such value.
        """
        try:
            value = self.kind(text)
        except ValueError:
            return self.check(text)  # which says what was expected
        return self.check(value)
