"""A data set: two parts of images, what they are, and the ways to take images from them."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kelbo.data.binarization import (
    bernoulli,
    bernoulli_each,
    check_binarization,
    check_seed,
    threshold,
)
from kelbo.data.part import Indices, Part
from kelbo.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from kelbo.data.stream import Batches

# Keeps the fixed draws of the two parts apart.
_PARTS = {"train": 0, "test": 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train on and images to test on; made by `kelbo.data.load`.

    Attributes:
        name: a short name, for titles and folder names.
        train: the training images, float32 (n, height, width, channels) with pixels in [0, 1],
            or images that stay on disk (`kelbo.data.ImageFiles`, `kelbo.data.CachedImages`).
        test: the test images, likewise.
        train_labels: int64 (n,), or None.
        test_labels: int64 (n,), or None.
        label_names: the name of each label, where the source gives names.
        source: where the images come from.
        licence: the terms they are under, empty where unknown.
        binarization: one of `kelbo.data.BINARIZATIONS`; set by `binarized`.
        seed: of the draws that are made once.
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

    @property
    def data_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        height, width, channels = self.train.shape[-3:]
        return height, width, channels

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
            UsageError: there is no such binarisation, or the set is binarised already.
        """
        check_binarization(binarization)
        check_seed(seed)
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
        images = self.read_grey(part, indices)
        if self.binarization == "none" or self._is_final(part):
            return images
        if self.binarization == "threshold":
            return threshold(images)
        return bernoulli_each(images, (self.seed, _PARTS[part]), indices)

    def read_grey(self, part: str, indices: Indices) -> np.ndarray:
        """The images at `indices` as they are kept, before any draw that is made on reading."""
        images = self._part(part)
        if isinstance(images, np.ndarray):
            return images[np.asarray(indices, dtype=np.intp)]
        return images.read(indices)

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
    ) -> "np.ndarray | Batches":
        """What `keras.Model.fit` and `evaluate` take as `x`.

        Returns:
            The array itself when nothing is drawn or read on the way: Keras then cuts and
            shuffles it, so hand `batch_size` and `shuffle` to `fit` too. Otherwise a
            `keras.utils.PyDataset`, which cuts and shuffles by itself; hand `shuffle=False` to
            `fit`, for Keras would shuffle the order of the batches with a seed of its own.

        Args:
            part: "train" or "test". Only dynamically binarised training images are drawn afresh
                for every batch of every epoch; every other part is the same at each pass.
            batch_size: images in a batch; the last one may hold fewer.
            shuffle: take the images in a new order in every epoch.
            seed: of the order and of the fresh draws.
            epoch: epochs already trained: a training that is resumed goes on as if it had never
                stopped.
            ahead: how many batches are prepared in threads while the model trains on one.

        Raises:
            UsageError: there is no such part, or a number is out of range.
        """
        check_batch_size(batch_size)
        check_seed(seed)
        if epoch < 0 or ahead < 0:
            raise UsageError(f"Expected epoch and ahead of at least 0, not {epoch} and {ahead}.")
        images = self._part(part)
        if isinstance(images, np.ndarray) and self._is_final(part):
            return images
        from kelbo.backends.choice import choose

        choose()
        from kelbo.data.stream import Batches

        return Batches(self, part, batch_size, shuffle, seed, epoch, ahead)

    def draws_afresh(self, part: str) -> bool:
        """Whether `batches` draws the pixels of this part anew each time."""
        return self.binarization == "dynamic" and part == "train"

    def _is_final(self, part: str) -> bool:
        """Whether the part is in memory and drawn already."""
        return isinstance(self._part(part), np.ndarray) and not self.draws_afresh(part)

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
