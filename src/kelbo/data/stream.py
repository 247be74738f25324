"""Batches for Keras that are read from disk or drawn afresh; the one module here that needs Keras.

A batch is a function of the seed, the epoch and its index alone, whatever the threads and the
order of the calls. Keras's own workers (`PyDataset(workers=2)`) are not used: when `fit` builds
the model from a first batch, they deliver the batches prefetched for the build a second time and
lose as many from the end of the epoch. The next batches are prepared here instead.
"""

import functools
import math
from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np

from kelbo.data.at_hand import Bytes
from kelbo.data.binarization import bernoulli
from kelbo.data.cache import CachedImages
from kelbo.data.dataset import Dataset
from kelbo.errors import DataError


class Batches(keras.utils.PyDataset):
    """Batches of float32 (at most `batch_size`, height, width, channels); see `Dataset.batches`.

    Attributes:
        epoch: how often `on_epoch_end` was called, on top of the epoch it started from.
        failure: the error that ended the stream, or None. On TensorFlow `fit` raises an error of
            TensorFlow's in its place; raise this one instead.
    """

    def __init__(
        self,
        dataset: Dataset,
        part: str,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        ahead: int = 2,
    ):
        super().__init__()
        self.dataset = dataset
        self.part = part
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = epoch
        self.ahead = ahead
        self.failure: DataError | None = None
        self._order = self._make_order()
        self._last = -1
        self._threads = ThreadPoolExecutor(max(ahead, 1), thread_name_prefix="kelbo-batches")
        self._prepared: dict[int, Future[np.ndarray]] = {}

    def __len__(self) -> int:
        return math.ceil(self.dataset.count(self.part) / self.batch_size)

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(f"There is no batch {index} among {len(self)}.")
        # Calls out of order (`fit(shuffle=True)`) cannot be foreseen.
        in_order = index in (0, self._last + 1)
        self._last = index
        wanted = range(index, min(index + 1 + (self.ahead if in_order else 0), len(self)))
        self._keep({i: self._prepared.get(i) or self._prepare(i) for i in wanted})
        try:
            return self._prepared.pop(index).result()
        except DataError as error:
            self.failure = error
            raise

    def on_epoch_end(self) -> None:
        """Count the epoch: the next one has its own order and its own draws.

        Keras calls this once more before the first epoch of every `fit`, on each backend alike.
        """
        self.epoch += 1
        self._order = self._make_order()
        self._last = -1
        self._keep({})

    # What `fit` asks for when it takes the data to the device (kelbo.data.at_hand.Source).

    def arrays(self) -> tuple[np.ndarray | Bytes, None, None] | None:
        """The images before any fresh draw, and no targets and weights; None if they are files."""
        images = self.dataset.train if self.part == "train" else self.dataset.test
        if type(self) is not Batches:  # what a subclass does to batches cannot be known
            return None
        if isinstance(images, CachedImages):
            return Bytes(len(images), functools.partial(self._bytes, images)), None, None
        return (images, None, None) if isinstance(images, np.ndarray) else None

    def _bytes(self, images: CachedImages, places: range) -> np.ndarray:
        if self.dataset.binarization == "none" or self.dataset.draws_afresh(self.part):
            return images.read_bytes(places)
        return (self.dataset.read(self.part, places) * 255).astype(np.uint8)  # of 0 or 1

    def order(self) -> np.ndarray:
        """The order of the images in this epoch."""
        return self._order

    def key(self) -> np.ndarray | None:
        """The key of this epoch's draws, uint32 (2,), where they are made on the device.

        Those draws are others than the ones made here, from the same distribution.
        """
        if not self.dataset.draws_afresh(self.part):
            return None
        return np.random.SeedSequence((self.seed, 1, self.epoch)).generate_state(2)

    def _keep(self, prepared: dict[int, Future[np.ndarray]]) -> None:
        """Keep these batches; do not begin others that are waiting for a thread."""
        for index in self._prepared.keys() - prepared.keys():
            self._prepared[index].cancel()
        self._prepared = prepared

    def _prepare(self, index: int) -> Future[np.ndarray]:
        indices = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self._threads.submit(self._batch, indices, (self.seed, 1, self.epoch, index))

    def _batch(self, indices: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
        if not self.dataset.draws_afresh(self.part):
            return self.dataset.read(self.part, indices)
        images = self.dataset.read_grey(self.part, indices)
        return bernoulli(images, np.random.default_rng(key))

    def _make_order(self) -> np.ndarray:
        count = self.dataset.count(self.part)
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng((self.seed, 0, self.epoch)).permutation(count)
