"""How the data of one part of a data set are read: by index, transformed on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from kelbo.data.at_hand import Bytes
from kelbo.data.binarization import Binarise
from kelbo.data.cache import CachedImages
from kelbo.data.part import Batch, Indices, Part


@dataclass(frozen=True, eq=False)
class Reading:
    """One part of a data set, read by index; what `Batches` are made of (`kelbo.data.part`).

    Attributes:
        data: an array, or images that stay on disk.
        transform: what is done to x on reading, or None.
        columns: further fields of the data, (n, ...) each.
        fields: what a batch holds: "x" alone as an array, or these fields in a dict.
    """

    data: Part
    transform: Binarise | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    fields: tuple[str, ...] = ("x",)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def draws_afresh(self) -> bool:
        """Whether every batch of every epoch has draws of its own."""
        return self.transform is not None and self.transform.draws_afresh

    def read(self, indices: Indices) -> Batch:
        """A batch of the data at `indices`, the same at every call."""
        return self._batch(self.x(indices), indices)

    def draw(self, indices: Indices, generator: np.random.Generator) -> Batch:
        """A batch of the data at `indices`, drawn with the generator."""
        x = self.untransformed(indices)
        if self.transform is not None:
            x = self.transform.afresh(x, generator)
        return self._batch(x, indices)

    def x(self, indices: Indices) -> np.ndarray:
        """The data at `indices`, the same at every call: float32 (n, ...)."""
        x = self.untransformed(indices)
        return x if self.transform is None else self.transform.once(x, indices)

    def untransformed(self, indices: Indices) -> np.ndarray:
        """The data at `indices` as they are kept."""
        if isinstance(self.data, np.ndarray):
            return self.data[np.asarray(indices, dtype=np.intp)]
        return self.data.read(indices)

    def at_hand(self) -> np.ndarray | Bytes | None:
        """All data before any fresh draw; None if they are read from files, or have more fields."""
        if self.fields != ("x",):
            return None
        if isinstance(self.data, CachedImages):
            return Bytes(len(self.data), partial(self._bytes, self.data))
        return self.data if isinstance(self.data, np.ndarray) else None

    def _bytes(self, images: CachedImages, places: range) -> np.ndarray:
        if self.transform is None or self.draws_afresh:
            return images.read_bytes(places)
        return (self.x(places) * 255).astype(np.uint8)  # of 0 or 1

    def _batch(self, x: np.ndarray, indices: Indices) -> Batch:
        if self.fields == ("x",):
            return x
        places = np.asarray(indices, dtype=np.intp)
        return {name: x if name == "x" else self.columns[name][places] for name in self.fields}
