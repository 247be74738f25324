"""Chunks of batches, as places in the data: what Keras's loop takes for batches."""

import math

import keras
import numpy as np

from kelbo.data.at_hand import Source

# Steps in a chunk: callbacks, the progress bar and Ctrl-C get their turn after each.
CHUNK = 128


class Chunks(keras.utils.PyDataset):
    """Chunks of batches, as places in the data; what Keras's loop takes for batches.

    Attributes:
        bounds: of every chunk the first batch, and the one after the last.
    """

    def __init__(self, source: Source, count: int, steps_per_execution: int = 1):
        super().__init__()
        self.source = source
        self.batches = math.ceil(count / source.batch_size)
        self.bounds = chunk_bounds(count, source.batch_size, steps_per_execution)

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if index == 0:
            self._order = self.source.order().astype(np.int32)
            self._key = self.source.key()
        (first, end), size = self.bounds[index], self.source.batch_size
        places = self._order[first * size : end * size]
        whole = len(places) // size
        chunk = {
            "whole": places[: whole * size].reshape(whole, size),
            "partial": places[whole * size :].reshape(1, -1),
        }
        chunk = {name: part for name, part in chunk.items() if part.size}
        return (
            chunk | {"first": np.int32(first)} | ({} if self._key is None else {"key": self._key})
        )

    def on_epoch_end(self) -> None:
        """Pass it on."""
        self.source.on_epoch_end()


def chunk_bounds(count: int, batch_size: int, steps_per_execution: int) -> list[tuple[int, int]]:
    """The first batch of every chunk and the one after its last.

    As many batches as the user asked for; without that, whole batches in chunks of one length,
    or of two, for each length is compiled.
    """
    batches = math.ceil(count / batch_size)
    if steps_per_execution > 1:
        starts = [*range(0, batches, steps_per_execution), batches]
    else:
        whole = max(count // batch_size, 1)
        fewest = math.ceil(whole / CHUNK)
        chunks = next((n for n in range(fewest, 2 * fewest) if whole % n == 0), fewest)
        starts = [*(whole * i // chunks for i in range(chunks)), batches]
    return list(zip(starts[:-1], starts[1:], strict=True))
