"""An option of a part or of a model, written once: its name, kind, default and meaning."""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from kelbo.errors import UsageError, unknown_name

_NUMBERS: dict[type, type] = {float: Real, int: Integral}
_IN_WORDS: dict[type, str] = {float: "a finite number", int: "a whole number"}

Value = float | str


@dataclass(frozen=True)
class Option:
    """One choice that a part leaves to its user.

    Attributes:
        name: as in `--set NAME=VALUE`, in `[model.options]` and in Python.
        kind: float, int or str.
        default: the part's own.
        meaning: one sentence.
        minimum: the smallest value of a number.
        maximum: the largest value of a number.
        choices: the values of a str.
        argument: of the part's constructor; the name where empty, and None where it takes none.
    """

    name: str
    kind: type[float] | type[int] | type[str]
    default: Value
    meaning: str
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()
    argument: str | None = ""

    def check(self, value: Any) -> Value:
        """The value as the option's kind.

        Raises:
            UsageError: it is of another kind, not finite, out of range, or no choice.
        """
        if self.kind is str:
            if value not in self.choices:
                raise unknown_name(self.name, str(value), self.choices)
            return str(value)
        # A bool is an int in Python and is none here; 1 will do for 1.0.
        is_number = isinstance(value, _NUMBERS[self.kind]) and not isinstance(value, bool)
        inside = is_number and self.minimum <= float(value) <= self.maximum
        if not inside or math.isinf(float(value)):
            raise UsageError(
                f"Expected {self.name} to be {_IN_WORDS[self.kind]}{self._range()}, received "
                f"{value!r}."
            )
        return self.kind(value)

    def _range(self) -> str:
        if self.maximum < math.inf:
            return f" from {self.minimum:g} to {self.maximum:g}"
        return f" >= {self.minimum:g}" if self.minimum > -math.inf else ""

    def parse(self, text: str) -> Value:
        """The value of a text, as the command line has it.

        Raises:
            UsageError: it is no such value.
        """
        try:
            value = self.kind(text)
        except ValueError:
            return self.check(text)  # which says what was expected
        return self.check(value)

    def __str__(self) -> str:
        """`NAME=DEFAULT`, as it would be typed."""
        default = self.default if isinstance(self.default, str) else f"{self.default:g}"
        return f"{self.name}={default}"
