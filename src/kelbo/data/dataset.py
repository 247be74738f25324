"""A data set: two parts, what they are, and the ways to take data from them."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kelbo.data.binarization import (
    Binarise,
    bernoulli,
    check_binarization,
    check_seed,
    threshold,
)
from kelbo.data.description import DataDescription, Kind
from kelbo.data.part import Indices, Part
from kelbo.data.reading import Reading
from kelbo.errors import UsageError, unknown_name
from kelbo.support import REAL, UNIT_INTERVAL

if TYPE_CHECKING:
    from kelbo.data.stream import Batches

# Keeps the fixed draws of the two parts apart.
_PARTS = {"train": 0, "test": 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Data to train on and data to test on: images from `kelbo.data.load`, or arrays.

    Attributes:
        name: a short name, for titles and folder names.
        train: the training images, float32 (n, height, width, channels) with pixels in [0, 1],
            or images that stay on disk (`kelbo.data.ImageFiles`, `kelbo.data.CachedImages`).
            Vectors are float32 (n, features).
        test: the test images, likewise.
        train_labels: int64 (n,), or None.
        test_labels: int64 (n,), or None.
        label_names: the name of each label, where the source gives names.
        source: where the images come from.
        licence: the terms they are under, empty where unknown.
        binarization: one of `kelbo.data.BINARIZATIONS`; set by `binarized`.
        seed: of the draws that are made once.
        kind: "image" or "vector".
    """

    name: str
    train: Part
    test: Part
    train_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    label_names: tuple[str, ...] | None = None
    source: str = ""
    licence: str = ""
    binarization: str = "none"
    seed: int = 0
    kind: Kind = "image"

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of one datum: (height, width, channels) of an image."""
        shape = self.train.shape
        return shape[1:] if isinstance(self.train, np.ndarray) else shape

    @property
    def description(self) -> DataDescription:
        """What a model may know of the data."""
        classes = None
        if self.label_names is not None:
            classes = len(self.label_names)
        elif self.train_labels is not None:
            classes = int(self.train_labels.max()) + 1
        support = UNIT_INTERVAL if self.kind == "image" else REAL
        return DataDescription(self.data_shape, support, self.count("train"), classes, self.kind)

    def count(self, part: str) -> int:
        """The number of images in "train" or "test"."""
        return len(self._part(part))

    def labels(self, part: str) -> np.ndarray | None:
        """The labels of "train" or "test": int64 (n,), or None."""
        self._part(part)
        return self.train_labels if part == "train" else self.test_labels

    def binarized(self, binarization: str, seed: int = 0) -> "Dataset":
        """This data set with pixels 0 or 1.

        In memory everything that is drawn once is drawn here: both parts if static, the test part
        if dynamic. Images on disk are binarised when they are read, with draws that depend on the
        seed and on the image alone.

        Raises:
            UsageError: there is no such binarisation, the set is binarised already, or its data
                are no images.
        """
        check_binarization(binarization)
        check_seed(seed)
        if binarization != "none" and self.kind != "image":
            raise UsageError(
                f"Binarisation {binarization!r} makes pixels 0 or 1, and these are {self.kind}s. "
                "Leave it out."
            )
        if self.binarization != "none":
            raise UsageError(f"The data set is binarised already ({self.binarization}).")

        def fixed(part: str) -> Part:
            images = self._part(part)
            if not isinstance(images, np.ndarray) or binarization == "none":
                return images
            if binarization == "threshold":
                return threshold(images)
            if binarization == "dynamic" and part == "train":
                return images
            return bernoulli(images, np.random.default_rng((seed, _PARTS[part])))

        return dataclasses.replace(
            self, train=fixed("train"), test=fixed("test"), binarization=binarization, seed=seed
        )

    def read(self, part: str, indices: Indices) -> np.ndarray:
        """The images at `indices`, binarised as the set is; the same at every call.

        Returns:
            float32 (n, height, width, channels). Dynamically binarised training images come with
            one fixed draw here; `batches` draws them afresh.

        Raises:
            DataError: a file of images on disk cannot be read any more.
        """
        return self._reading(part).x(indices)

    def read_grey(self, part: str, indices: Indices) -> np.ndarray:
        """The images at `indices` as they are kept, before any draw that is made on reading."""
        return self._reading(part).untransformed(indices)

    def head(self, part: str, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The first `count` images of a part (all, if there are fewer) and their labels or None."""
        labels = self.labels(part)
        count = min(count, self.count(part))
        return self.read(part, range(count)), None if labels is None else labels[:count]

    def iterate(self, part: str, batch_size: int) -> Iterator[np.ndarray]:
        """The images of a part in order, the same at every pass; the last batch may be smaller."""
        check_batch_size(batch_size)
        total = self.count(part)
        for start in range(0, total, batch_size):
            yield self.read(part, range(start, min(start + batch_size, total)))

    def batches(
        self,
        part: str,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        ahead: int = 2,
        fields: Sequence[str] = ("x",),
    ) -> "Batches":
        """What `fit`, `evaluate` and `predict` take as `x`: a `keras.utils.PyDataset`.

        The order and the draws are a function of the seed and the epoch. So hand `shuffle=False`
        to a `fit` of Keras's own, which would shuffle the batches with a seed of its own; a model
        of kelbo's leaves their order as it is.

        Args:
            part: "train" or "test". Only dynamically binarised training images are drawn afresh
                for every batch of every epoch; every other part is the same at each pass.
            batch_size: data in a batch; the last one may hold fewer.
            shuffle: take the data in a new order in every epoch.
            seed: of the order and of the fresh draws.
            epoch: epochs already trained: a training that is resumed goes on as if it had never
                stopped.
            ahead: how many batches are prepared in threads while the model trains on one, where
                they are read from files or drawn.
            fields: what a batch holds: "x" alone, as an array, or a dict of these, of which
                "label" is int64 (n,).

        Raises:
            UsageError: there is no such part or field, or a number is out of range.
        """
        check_batch_size(batch_size)
        check_seed(seed)
        if epoch < 0 or ahead < 0:
            raise UsageError(f"Expected epoch and ahead of at least 0, not {epoch} and {ahead}.")
        reading = self._reading(part, tuple(fields))
        from kelbo.backends.choice import choose

        choose()
        from kelbo.data.stream import Batches

        return Batches(reading, batch_size, shuffle, seed, epoch, ahead)

    def draws_afresh(self, part: str) -> bool:
        """Whether `batches` draws the pixels of this part anew each time."""
        return self._reading(part).draws_afresh

    def _reading(self, part: str, fields: tuple[str, ...] = ("x",)) -> Reading:
        """How a part is read.

        Raises:
            UsageError: there is no such part or field.
        """
        data, labels = self._part(part), self.labels(part)
        columns = {} if labels is None else {"label": labels}
        for name in fields:
            if name not in ("x", *columns):
                raise unknown_name("field", name, ("x", *columns))
        afresh = self.binarization == "dynamic" and part == "train"
        # In memory `binarized` has made all draws that are made once.
        done = self.binarization == "none" or (isinstance(data, np.ndarray) and not afresh)
        key = (self.seed, _PARTS[part])
        return Reading(
            data, None if done else Binarise(self.binarization, key, afresh), columns, fields
        )

    def _part(self, part: str) -> Part:
        if part not in _PARTS:
            raise unknown_name("part", part, _PARTS)
        return self.train if part == "train" else self.test


def check_batch_size(batch_size: int) -> None:
    """Refuse a batch of no images.

    Raises:
        UsageError: the size is less than 1.
    """
    if batch_size < 1:
        raise UsageError(f"A batch holds at least 1 image, not {batch_size}.")
