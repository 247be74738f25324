"""Keep what is finished: the model and the metrics after every epoch."""

import math
import time
from typing import Any

import keras

from kelbo.errors import DivergedError
from kelbo.files import replacing
from kelbo.runs import MODEL, RunDirectory


class Checkpoint(keras.callbacks.Callback):
    """Write model.keras and metrics.csv whenever an epoch ends, each whole or not at all.

    Args:
        run: the run directory.
        samples: training images in an epoch, for the throughput.
    """

    chunk_safe = True

    def __init__(self, run: RunDirectory, samples: int):
        super().__init__()
        self.run = run
        self.samples = samples
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        self.start = self.end = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note the time: the last note is when training ended and validation began."""
        self.end = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write both files.

        Raises:
            DivergedError: a figure is NaN or infinite, as after an update that broke the weights
                in the last batch; the files of the epochs before stay.
        """
        logs = {name: float(value) for name, value in (logs or {}).items()}
        broken = [name for name, value in logs.items() if not math.isfinite(value)]
        if broken:
            raise DivergedError(
                f"At the end of epoch {epoch + 1} {', '.join(broken)} became NaN or infinite: the "
                "last updates broke the model's weights. Lower the learning rate."
            )
        seconds = self.end - self.start
        row = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 3),
            "samples_per_second": round(self.samples / seconds, 1),
        }
        self.rows.append(row | logs)
        # The model first: the metrics never tell of an epoch that the model has not seen.
        with replacing(self.run.file(MODEL)) as temporary:
            self.model.save(temporary)
        self.run.write_metrics(self.rows)
