"""What a model may know of data before it sees any. Imports no framework."""

from dataclasses import dataclass

from kelbo.support import Support


@dataclass(frozen=True)
class DataDescription:
    """What data are; no arrays.

    Attributes:
        shape: of one datum.
        support: where its values lie.
        count: the number of training data.
        classes: the number of labels, or None where there are none.
        kind: "image", "vector" or "sequence".
    """

    shape: tuple[int, ...]
    support: Support
    count: int
    classes: int | None
    kind: str
