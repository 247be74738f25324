"""A DataLoader whose batches are shown to a check (kelbo.checked)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset


def checked_loader(
    loader: DataLoader, examined: Callable[[Iterable[Any]], Iterator[Any]]
) -> DataLoader:
    """A loader of the same batches, which are examined on their way.

    Args:
        loader: the user's, with its workers, its sampler and its collation.
        examined: from batches to the same batches.
    """
    sized = hasattr(loader.dataset, "__len__")
    batches = (_SizedBatches if sized else _Batches)(loader, examined)
    # They are batches already, and not to be collated again.
    return DataLoader(batches, batch_size=None, collate_fn=_same)


class _Batches(IterableDataset):
    def __init__(self, loader: DataLoader, examined: Callable[[Iterable[Any]], Iterator[Any]]):
        self._loader = loader
        self._examined = examined

    def __iter__(self) -> Iterator[Any]:
        return self._examined(self._loader)


class _SizedBatches(_Batches):
    def __len__(self) -> int:
        return len(self._loader)


def _same(batch: Any) -> Any:
    return batch
