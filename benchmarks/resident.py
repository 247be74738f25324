"""Time epochs that stay on the device with several choices for them, on JAX and an accelerator.

    KERAS_BACKEND=jax python -m benchmarks.resident
    KERAS_BACKEND=jax python -m benchmarks.resident --batch 4096 --unroll 4 --chunk 128 --profile

The choices are `scan.UNROLL` of `kelbo.backends.jax`, the steps that the compiled loop takes in one
turn, and `chunks.CHUNK`, the steps between two looks of the host. `--profile` prints on which
kernels the device spends an epoch. XLA's own choices can be tried with XLA_FLAGS, which is stored
with the figures; without `--xla_gpu_enable_command_buffer=` (nothing) a profile may show many
kernels as one. The figures are in benchmarks/results/resident.json by device, precision and batch
size.
"""

import argparse
import collections
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import keras
import numpy as np

import kelbo
from benchmarks.device import device_name, peak_device_memory
from kelbo import files
from kelbo.backends.jax import chunks, scan
from kelbo.precision import PRECISIONS
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "resident.json"
SHOWN = 30  # kernels of a profile


class Clock(keras.callbacks.Callback):
    """The seconds of every epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)

    def on_train_begin(self, logs=None):
        self.seconds: list[float] = []


def measure(
    x: np.ndarray, batch_size: int, precision: str, unroll: int, chunk: int, epochs: int
) -> dict:
    """Images per second in the median epoch, after one to compile."""
    import jax

    keras.utils.set_random_seed(0)  # for the order of the data
    vae = kelbo.presets.vae(x.shape[1:], precision=precision, seed=0)
    vae.compile("adam")
    clock = Clock()
    with patch.object(scan, "UNROLL", unroll), patch.object(chunks, "CHUNK", chunk):
        history = vae.fit(
            x, batch_size=batch_size, epochs=epochs + 1, verbose=0, callbacks=[clock], resident=True
        )
    median = statistics.median(clock.seconds[1:])
    return {
        "unroll": unroll if jax.default_backend() != "cpu" else 1,
        "chunk": chunk,
        "images_per_second": len(x) / median,
        "seconds": clock.seconds[1:],
        "compile_seconds": clock.seconds[0] - median,
        "loss": history.history["loss"][-1],
        "peak_device_memory": peak_device_memory("jax"),
    }


def profile(x: np.ndarray, batch_size: int, precision: str) -> dict[str, float]:
    """The seconds of the device's kernels in one epoch by name, the longest first."""
    import jax

    vae = kelbo.presets.vae(x.shape[1:], precision=precision, seed=0)
    vae.compile("adam")
    options = {"batch_size": batch_size, "verbose": 0, "resident": True}
    vae.fit(x, **options)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            vae.fit(x, **options)
        (file,) = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(file))
    seconds: collections.Counter[str] = collections.Counter()
    for plane in data.planes:
        for line in plane.lines:
            if plane.name.startswith("/device:") and line.name.startswith("Stream"):
                for event in line.events:
                    seconds[event.name] += event.duration_ns / 1e9
    return dict(seconds.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 1024, 4096])
    parser.add_argument("--unroll", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--chunk", type=int, nargs="+", default=[chunks.CHUNK, 512])
    parser.add_argument("--precision", choices=list(PRECISIONS), default="bf16")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="print an epoch's kernels, too")
    arguments = parser.parse_args()
    if keras.backend.backend() != "jax" or device_name("jax") == "cpu":
        parser.error("data stay on the device with JAX on an accelerator: set KERAS_BACKEND=jax")
    x = kelbo.data.mnist()[0][0][: arguments.images]
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for batch_size in arguments.batch:
        entry = f"{device_name('jax')}, {arguments.precision}, batch {batch_size}"
        done = results[entry] = {
            "environment": describe_environment(),
            "flags": os.environ.get("XLA_FLAGS", ""),
            "choices": [],
        }
        for unroll in arguments.unroll:
            for chunk in arguments.chunk:
                one = measure(x, batch_size, arguments.precision, unroll, chunk, arguments.epochs)
                done["choices"].append(one)
                print(
                    f"batch {batch_size:5} unroll {unroll:2} chunk {chunk:4} "
                    f"{one['images_per_second']:10,.0f} images/s, "
                    f"compiled in {one['compile_seconds']:.1f} s, loss {one['loss']:.2f}",
                    flush=True,
                )
        if arguments.profile:
            done["profile"] = profile(x, batch_size, arguments.precision)
            whole = sum(done["profile"].values())
            print(f"batch {batch_size}: {whole * 1e3:.1f} ms of kernels in an epoch")
            for name, seconds in list(done["profile"].items())[:SHOWN]:
                print(f"{seconds * 1e3:10.2f} ms {seconds / whole:6.1%}  {name[:80]}")
        files.write_text(RESULTS, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
