"""One contestant in a process of its own: it reports its loss, then trains when it is told to.

It writes lines of JSON to standard output, and reads a line from standard input before each epoch.
If it fails, it says why.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.device import device_name, peak_device_memory, peak_memory
from benchmarks.speed import work as common
from benchmarks.speed.contestants import ENTRIES


class PipeGate:
    """A gate that waits for a line and answers with the figures of the epoch."""

    def __init__(self, epochs: int, say: Any, started: float):
        self.epochs = epochs
        self.started = started  # time.time() when this process was started
        self.say = say
        self.waited = 0.0

    def begin(self) -> None:
        """Wait for a line."""
        asked = time.perf_counter()
        if not sys.stdin.readline():
            sys.exit(1)  # the race was broken off
        self.start = time.perf_counter(), time.process_time()
        self.waited += self.start[0] - asked

    def end(self, loss: float) -> None:
        """Report the seconds, the processor seconds and the loss."""
        seconds = time.perf_counter() - self.start[0]
        processor = time.process_time() - self.start[1]
        since_start = time.time() - self.started - self.waited
        self.say(
            seconds=seconds, processor_seconds=processor, since_start=since_start, loss=float(loss)
        )


class Notes(logging.Handler):
    """Collects what kelbo logs: on JAX, whether the data stay on the device, and if not, why."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        logger = logging.getLogger("kelbo")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.lines.append(record.getMessage())


def main(
    name: str, device: str, work: common.Work, epochs: int, started: float, say: Callable[..., None]
) -> None:
    """Take part in a race."""
    backend = ENTRIES[name].backend or "torch"
    check_device(backend, device)
    notes = Notes()
    images = common.images(work)
    weights = common.weights(work) if work.network == "conv" else {}
    contestant = ENTRIES[name].load()(work, weights, device)
    compared = None
    if weights:
        # MNIST's first images, in whatever size, as many as there is noise for.
        first = images[np.arange(common.COMPARED) % len(images)]
        compared = contestant.loss(first, common.noise(work))
    say(loss=compared, versions=versions(), device=device_name(backend))
    contestant.train(images, PipeGate(epochs, say, started))
    peaks = {"peak_memory": peak_memory(), "peak_device_memory": peak_device_memory(backend)}
    say(**peaks, notes=notes.lines)


def check_device(backend: str, device: str) -> None:
    """Check that a library has the requested device and would not silently use another.

    Raises:
        RuntimeError: it does not.
    """
    found = device_name(backend)
    if (found == "cpu") != (device == "cpu"):
        raise RuntimeError(f"{backend} is asked for a {device.upper()} but computes on {found}")


def versions() -> dict[str, str]:
    """The versions of the libraries that take part in this process."""
    names = ("kelbo", "keras", "tensorflow", "jax", "torch", "pythae", "numpy")
    loaded = {name: sys.modules[name] for name in names if name in sys.modules}
    # pythae does not say its own; TensorFlow's distribution may have another name.
    return {name: getattr(m, "__version__", None) or version(name) for name, m in loaded.items()}


def run(task: dict[str, Any]) -> None:
    """Take part, and report a failure."""
    # Whatever a library prints goes to standard error.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**values: Any) -> None:
        print(json.dumps(values), file=out, flush=True)

    work = common.Work(**task["work"])
    try:
        main(task["name"], task["device"], work, task["epochs"], task["started"], say)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        say(failed=f"{type(error).__name__}: {reason[:300]}")
        raise


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
