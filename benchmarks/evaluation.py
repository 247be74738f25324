"""Time the importance-weighted bound against a plain loop over images and chunks of samples.

    KERAS_BACKEND=tensorflow python -m benchmarks.evaluation
    KERAS_BACKEND=jax python -m benchmarks.evaluation --images 10000 --samples 5000 --rounds 1
    python -m benchmarks.evaluation --page

The plain loop is what one writes first: one compiled call of Keras for each batch of images and
each chunk of samples, whose log-weights come to the host and are summed there in float64. Both
decode equally many latent vectors in a call and run in turn. They draw different noise: their
bounds must agree to 5 standard errors of the difference, or nothing is stored. The result is one
entry for each backend, device and size in benchmarks/results/evaluation.json, from which
docs/bound-speed.md is made.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import kelbo
from benchmarks.device import device_name, peak_device_memory, peak_memory
from kelbo import files
from kelbo.passes import rows_in_one_pass
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "evaluation.json"
PAGE = Path(__file__).parent.parent / "docs" / "bound-speed.md"
BATCH = 100


class LogWeights(keras.Model):
    """The log-weights of `chunk` draws for each image, (batch, chunk)."""

    def __init__(self, vae: kelbo.VAE, chunk: int):
        super().__init__()
        self.vae = vae
        self.chunk = chunk
        self.seed_generator = keras.random.SeedGenerator(1)
        self.built = True

    def call(self, x):
        trace = self.vae.sampled_trace(x, self.chunk, self.seed_generator)
        return keras.ops.transpose(trace.log_weights)


def plain_loop(vae: kelbo.VAE, num_samples: int, rows: int) -> Callable[[np.ndarray], np.ndarray]:
    """The bound of each image, one call for each batch and chunk."""
    chunk = min(num_samples, max(1, rows // BATCH))
    whole, rest = divmod(num_samples, chunk)
    sizes = [chunk] * whole + ([rest] if rest else [])
    models = {size: LogWeights(vae, size) for size in set(sizes)}

    def bound(x: np.ndarray) -> np.ndarray:
        bounds = []
        for start in range(0, len(x), BATCH):
            batch = x[start : start + BATCH]
            log_weights = np.concatenate(
                [models[size].predict_on_batch(batch) for size in sizes], axis=1, dtype="float64"
            )
            largest = log_weights.max(axis=1, keepdims=True)
            bounds.append(largest[:, 0] + np.log(np.exp(log_weights - largest).mean(axis=1)))
        return np.concatenate(bounds)

    return bound


def trained_vae(network: str, epochs: int) -> kelbo.VAE:
    """A model that is trained enough for the bounds to have a realistic spread."""
    (x, _), _ = kelbo.data.mnist()
    keras.utils.set_random_seed(0)
    vae = kelbo.presets.vae(x.shape[1:], network=network, seed=0)
    vae.compile("adam")
    for _ in range(epochs):
        vae.fit(x[:6400], batch_size=128, verbose=0)
    return vae


def measure(
    images: int, num_samples: int, rounds: int, network: str, plain: bool, rows: int | None
) -> dict:
    """The seconds of both, in turn, after a run over two batches to compile."""
    vae = trained_vae(network, epochs=2)
    rows = rows_in_one_pass(vae.data_dim) if rows is None else rows
    x = kelbo.data.mnist()[1][0][:images]
    ways = {"kelbo": lambda x: vae.log_likelihood(x, num_samples, BATCH, rows_per_pass=rows)}
    if plain:
        ways["plain"] = plain_loop(vae, num_samples, rows)
    clocks = {"seconds": time.perf_counter, "processor_seconds": time.process_time}
    spent: dict[str, dict[str, list[float]]] = {way: {c: [] for c in clocks} for way in ways}
    bounds: dict[str, np.ndarray] = {}
    compile_seconds = {}
    for way, bound in ways.items():
        start = time.perf_counter()
        bound(x[: 2 * BATCH])
        compile_seconds[way] = time.perf_counter() - start
    for repetition in range(rounds):
        # Each is first in every other round, so that neither always runs on a warmer machine.
        for way in list(ways) if repetition % 2 == 0 else list(reversed(ways)):
            start = {clock: read() for clock, read in clocks.items()}
            bounds[way] = ways[way](x)
            for clock, read in clocks.items():
                spent[way][clock].append(read() - start[clock])
            seconds = spent[way]["seconds"][-1]
            pairs = len(x) * num_samples / seconds
            print(
                f"{way:6} {bounds[way].mean():9.3f} nats {seconds:8.1f} s {pairs:12,.0f} "
                f"images/s x samples/s   host {peak_memory() / 1e6:,.0f} MB"
            )
    result = {
        "images": len(x),
        "samples": num_samples,
        "network": network,
        "rows_per_pass": rows,
        "rounds": rounds,
        "device": device_name(keras.backend.backend()),
        "peak_memory": peak_memory(),
        "peak_device_memory": peak_device_memory(keras.backend.backend()),
        "environment": describe_environment(),
    }
    for way in ways:
        result[way] = {
            "bound": float(bounds[way].mean()),
            "first_two_batches_seconds": compile_seconds[way],
            **{clock: statistics.median(values) for clock, values in spent[way].items()},
        }
    if plain:
        result["ratio"] = result["plain"]["seconds"] / result["kelbo"]["seconds"]
        result["processor_ratio"] = (
            result["plain"]["processor_seconds"] / result["kelbo"]["processor_seconds"]
        )
        check_same(bounds["kelbo"], bounds["plain"])
    return result


def check_same(kelbo_bounds: np.ndarray, plain_bounds: np.ndarray) -> None:
    """Refuse a difference between the two estimates that noise does not explain."""
    difference = kelbo_bounds - plain_bounds
    error = difference.std() / np.sqrt(len(difference))
    if abs(difference.mean()) > 5.0 * error:
        raise SystemExit(
            f"The bounds differ by {difference.mean():.4f} nats, with a standard error of "
            f"{error:.4f}: nothing is stored."
        )


def page(results: dict[str, dict]) -> str:
    """The page docs/bound-speed.md."""
    lines = [
        "# Speed of the importance-weighted bound",
        "",
        "`VAE.log_likelihood` on MNIST's test images after a short training, against a plain loop:",
        "one compiled call of Keras for each batch of 100 images and each chunk of samples, whose",
        "log-weights are summed on the host. Both decode equally many latent vectors at once and",
        "run in turn in one process; the figures are medians. The ratio is the plain loop's time",
        "divided by kelbo's, in brackets that of the processor times. Speed is in latent vectors",
        "decoded per second, images/s x samples/s. The two draw different noise, so their bounds",
        "differ by noise.",
        "",
        "| backend, device | network | images x samples | seconds | speed | ratio "
        "| bound, kelbo / plain | peak memory, MB | measured |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for _, result in sorted(results.items()):
        on, mine, plain = result["environment"], result["kelbo"], result.get("plain")
        speed = result["images"] * result["samples"] / mine["seconds"]
        memory = f"{result['peak_memory'] / 1e6:,.0f} host"
        if result["peak_device_memory"] is not None:
            memory += f", {result['peak_device_memory'] / 1e6:,.0f} device"
        ratio = f"{result['ratio']:.2f} ({result['processor_ratio']:.2f})" if plain else ""
        other = f" / {plain['bound']:.3f}" if plain else ""
        lines.append(
            f"| {on['backend']} {on['backend_version']}, {result['device']} | {result['network']} "
            f"| {result['images']:,} x {result['samples']:,} | {mine['seconds']:,.1f} "
            f"| {speed:,.0f} | {ratio} | {mine['bound']:.3f}{other} | {memory} "
            f"| {on['date'][:10]}, Keras {on['keras']}, {result['rounds']} rounds, "
            f"{on['cpu_count']} cores of {on['processor']} |"
        )
    lines += [
        "",
        "Made by `python -m benchmarks.evaluation` from benchmarks/results/evaluation.json. On a",
        "GPU, all of MNIST's test images with 5,000 samples each:",
        "`python -m benchmarks.evaluation --images 10000 --samples 5000 --rounds 1`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows-per-pass", type=int, help="latent vectors decoded at once")
    parser.add_argument("--network", choices=["conv", "mlp"], default="conv")
    parser.add_argument("--no-plain", action="store_true", help="time kelbo alone")
    parser.add_argument("--page", action="store_true", help="only make the page again")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        result = measure(
            arguments.images,
            arguments.samples,
            arguments.rounds,
            arguments.network,
            not arguments.no_plain,
            arguments.rows_per_pass,
        )
        entry = (keras.backend.backend(), result["device"], result["network"])
        results[", ".join((*entry, f"{result['images']} x {result['samples']}"))] = result
        files.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
    files.write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
