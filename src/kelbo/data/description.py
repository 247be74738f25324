"""What a model may know of a data set: no arrays. Imports no framework."""

from dataclasses import dataclass
from typing import Literal

from kelbo.support import Support

Kind = Literal["image", "vector", "sequence"]


@dataclass(frozen=True)
class DataDescription:
    """A data set in words and numbers.

    Attributes:
        shape: of one datum, as (28, 28, 1).
        support: where its values lie.
        count: how many data there are to train on.
        classes: how many classes the labels name; None without labels.
        kind: "image": (height, width, channels), to be looked at; "vector": (features,), in no
            order; "sequence": (steps, ...), in the order of time or of a text.
    """

    shape: tuple[int, ...]
    support: Support
    count: int
    classes: int | None
    kind: Kind
