"""Data checked batch by batch, as Keras takes them, where they cannot be checked whole.

    with Checking(check) as checking:
        super().fit(checking.data(x), ...)

A check of the first batch alone misses what is wrong in a later one, and uses up the first batch
of a generator. So Keras is handed the same data in a wrapper of the same kind, which shows each
batch to the check on its way.
"""

import multiprocessing
import queue
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import keras

from kelbo.backends.jax.chunks import Chunks
from kelbo.data.at_hand import array_at_hand
from kelbo.errors import KelboError
from kelbo.inputs import as_numpy

# Takes x, the target y and the sample weights of a batch, or None for these: NumPy arrays, or
# structures of them. Raises an error of kelbo's.
Check = Callable[[Any, Any, Any], None]


class Checking:
    """Shows every batch that Keras takes to a check; a context around one call of Keras.

    TensorFlow wraps what is raised in a stream of data in an error of its own. On leaving, kelbo's
    own error is raised in its place.

    Args:
        check: of one batch. It is pickled where a `keras.utils.PyDataset` works in processes that
            are not forked.
    """

    def __init__(self, check: Check):
        self._examination = _Examination(check, queue.SimpleQueue())
        self._in_processes = _Examination(check, multiprocessing.SimpleQueue())

    def data(self, data: Any) -> Any:
        """What to hand to Keras in place of `data`: of the same kind, length, order and content.

        Args:
            data: what Keras takes as `x`. A generator, a `keras.utils.PyDataset`, a
                `tf.data.Dataset`, a `torch.utils.data.DataLoader` and a `grain.MapDataset` or
                `grain.IterDataset` are wrapped, on any backend.
                All else is returned as it is: arrays and `kelbo.data.Dataset.batches` of arrays,
                which are checked whole; what lies on the device already; and, unchecked, a
                `grain.DataLoader` and a `tf.distribute.DistributedDataset`.
        """
        if isinstance(data, Chunks) or array_at_hand(data) is not None:
            return data
        if isinstance(data, keras.utils.PyDataset):
            examination = self._in_processes if data.use_multiprocessing else self._examination
            return _CheckedPyDataset(data, examination)
        if isinstance(data, types.GeneratorType):
            return self._examination.stream(data)
        if _is_a("DatasetV2", "tensorflow.python.", data):
            from kelbo.backends.tensorflow.checked import checked_dataset

            return checked_dataset(data, self._examination)
        if _is_a("DataLoader", "torch.utils.data", data):
            from kelbo.backends.torch.checked import checked_loader

            return checked_loader(data, self._examination.stream)
        if _is_a("MapDataset", "grain.", data) or _is_a("IterDataset", "grain.", data):
            return data.map(self._examination.examined)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if type(error).__module__.startswith("tensorflow."):
            for examination in (self._examination, self._in_processes):
                if not examination.failures.empty():
                    raise examination.failures.get() from None


class _Examination:
    """Shows batches to a check, and keeps the errors of kelbo's that are raised meanwhile."""

    def __init__(self, check: Check, failures: Any):
        self._check = check
        self.failures = failures

    @contextmanager
    def __call__(self) -> Iterator[Callable[[Any], None]]:
        """A context to take batches in, and to hand them to."""
        try:
            yield self._examine
        except KelboError as error:
            self.failures.put(error)
            raise

    def examined(self, batch: Any) -> Any:
        """The batch, examined."""
        with self() as examine:
            examine(batch)
        return batch

    def stream(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches, each of them examined."""
        with self() as examine:
            for batch in batches:
                examine(batch)
                yield batch

    def _examine(self, batch: Any) -> None:
        parts = keras.utils.unpack_x_y_sample_weight(batch)
        self._check(*keras.tree.map_structure(_as_numpy, parts))


class _CheckedPyDataset(keras.utils.PyDataset):
    """The same batches, each of them examined where it is made: in a worker, if there are any."""

    def __init__(self, data: keras.utils.PyDataset, examination: _Examination):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self._data = data
        self._examination = examination

    def __getitem__(self, index: int) -> Any:
        with self._examination() as examine:
            batch = self._data[index]
            examine(batch)
            return batch

    @property
    def num_batches(self) -> int | None:
        return self._data.num_batches

    def on_epoch_begin(self) -> None:
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._data.on_epoch_end()


def _is_a(name: str, module: str, data: Any) -> bool:
    """Whether one of the classes of `data` has this name, without importing its module."""
    return any(
        parent.__name__ == name and parent.__module__.startswith(module)
        for parent in type(data).__mro__
    )


def _as_numpy(value: Any) -> Any:
    return None if value is None else as_numpy(value)
