"""Batches for Keras whose order and draws are known; the one module here that needs Keras.

A batch is a function of the seed, the epoch and its index alone, whatever the threads and the
order of the calls. Keras's own workers (`PyDataset(workers=2)`) are not used: when `fit` builds
the model from a first batch, they deliver the batches prefetched for the build a second time and
lose as many from the end of the epoch. The next batches are prepared here instead.
"""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import keras
import numpy as np

from kelbo.data.at_hand import Bytes
from kelbo.data.part import Batch, Readable


class Batches(keras.utils.PyDataset):
    """Batches of at most `batch_size` data; see `kelbo.data.Dataset.batches`.

    Attributes:
        epoch: how often `on_epoch_end` was called, on top of the epoch it started from.
    """

    def __init__(
        self,
        data: Readable,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        ahead: int = 2,
    ):
        super().__init__()
        self.data = data
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = epoch
        # To cut an array takes no longer than to hand the work to a thread.
        cut = isinstance(data.at_hand(), np.ndarray) and not data.draws_afresh
        self.ahead = 0 if cut else ahead
        self._order = self._make_order()
        self._last = -1
        self._prepared: dict[int, Future[Batch]] = {}

    def __len__(self) -> int:
        return math.ceil(len(self.data) / self.batch_size)

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(f"There is no batch {index} among {len(self)}.")
        if not self.ahead:
            return self._batch(index, self.epoch, self._order)
        # Calls out of order (`fit(shuffle=True)`) cannot be foreseen.
        in_order = index in (0, self._last + 1)
        self._last = index
        wanted = range(index, min(index + 1 + (self.ahead if in_order else 0), len(self)))
        self._keep({i: self._prepared.get(i) or self._prepare(i) for i in wanted})
        return self._prepared.pop(index).result()

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
        """The data before any fresh draw, and no targets and weights; None if they are files."""
        if type(self) is not Batches:  # what a subclass does to batches cannot be known
            return None
        data = self.data.at_hand()
        return None if data is None else (data, None, None)

    def order(self) -> np.ndarray:
        """The order of the data in this epoch."""
        return self._order

    def key(self) -> np.ndarray | None:
        """The key of this epoch's draws, uint32 (2,), where they are made on the device.

        Those draws are others than the ones made here, from the same distribution.
        """
        if not self.data.draws_afresh:
            return None
        return np.random.SeedSequence((self.seed, 1, self.epoch)).generate_state(2)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.ahead, thread_name_prefix="kelbo-batches")

    def _keep(self, prepared: dict[int, Future[Batch]]) -> None:
        """Keep these batches; do not begin others that are waiting for a thread."""
        for index in self._prepared.keys() - prepared.keys():
            self._prepared[index].cancel()
        self._prepared = prepared

    def _prepare(self, index: int) -> Future[Batch]:
        return self._threads.submit(self._batch, index, self.epoch, self._order)

    def _batch(self, index: int, epoch: int, order: np.ndarray) -> Batch:
        indices = order[index * self.batch_size : (index + 1) * self.batch_size]
        if not self.data.draws_afresh:
            return self.data.read(indices)
        return self.data.draw(indices, np.random.default_rng((self.seed, 1, epoch, index)))

    def _make_order(self) -> np.ndarray:
        count = len(self.data)
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng((self.seed, 0, self.epoch)).permutation(count)
