"""What Keras 2 and 3 and their backends really printed, and what it is to be explained by."""

import json
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent


class Real(NamedTuple):
    explanation: str
    printed_by: str
    text: str

    @property
    def id(self):
        return f"{self.explanation}, {self.printed_by}"


MESSAGES = [
    Real(row["explanation"], row["printed_by"], row["message"])
    for row in json.loads((_HERE / "messages.json").read_text())
]

TRACEBACKS = [
    Real(*path.stem.split("--"), path.read_text())
    for path in sorted((_HERE / "tracebacks").glob("*.txt"))
]
