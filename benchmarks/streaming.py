"""Time `VAE.fit` on images in memory, in PNG files, and in the cache of those files.

    KERAS_BACKEND=tensorflow python -m benchmarks.streaming
    python -m benchmarks.streaming --page

One model trains on the same images from the three places, in the same order and the same batches,
one epoch from each in turn. Each epoch starts from the same weights and noise, so that the losses
beside the times must agree. How memory grows with a folder is measured in a new process for each
size, because a process hardly gives memory back: it loads the folder and reads every image once,
batch by batch, without a model. The result is stored in benchmarks/results/streaming.json, one
entry for each backend and device, and docs/streaming.md is made from it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import kelbo
from benchmarks.device import device_name
from kelbo import files

RESULTS = Path(__file__).parent / "results" / "streaming.json"
PAGE = Path(__file__).parent.parent / "docs" / "streaming.md"
AIM = 0.9
PLACES = ("memory", "files", "cache")
BATCH_SIZE = 128


def write_folder(folder: Path, images: np.ndarray) -> None:
    """Write images with pixels in [0, 1] as PNG files, a thousand in each subfolder."""
    for i, image in enumerate(np.rint(images[..., 0] * 255).astype(np.uint8)):
        part = folder / f"{i // 1000:03}"
        part.mkdir(exist_ok=True)
        Image.fromarray(image).save(part / f"{i:06}.png", compress_level=1)


def digits(count: int) -> np.ndarray:
    """MNIST, repeated as often as need be."""
    (x, _), _ = kelbo.data.mnist()
    return x[np.arange(count) % len(x)]


def measure(samples: int, rounds: int, sizes: list[int]) -> dict:
    """Samples per second from each place after a warm-up round, and how memory grows."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name) / "images", Path(name) / "cache"
        folder.mkdir()
        write_folder(folder, digits(samples))
        result = time_places(folder, cache, rounds)
    result["growth"] = [grow(size) for size in sizes]
    return result


def time_places(folder: Path, cache: Path, rounds: int) -> dict:
    import keras

    from kelbo.training.environment import describe_environment

    files = kelbo.data.load(folder)
    start = time.perf_counter()
    cached = kelbo.data.load(folder, cache=cache)
    seconds_to_cache = time.perf_counter() - start
    count = files.count("train")
    in_memory = files.read("train", range(count))
    keras.utils.set_random_seed(0)
    vae = kelbo.presets.vae(files.data_shape, seed=0)
    vae.compile("adam")
    vae.optimizer.build(vae.trainable_variables)
    state = [*vae.variables, *vae.optimizer.variables]  # weights, noise and moments
    # A copy: on PyTorch the array is the variable's own memory.
    start_of_epoch = [np.array(keras.ops.convert_to_numpy(variable)) for variable in state]

    def train(place: str, epoch: int) -> float:
        for variable, value in zip(state, start_of_epoch, strict=True):
            variable.assign(value)
        if place == "memory":
            # The order in which a stream reads.
            order = np.random.default_rng((0, 0, epoch)).permutation(count)
            x = in_memory[order]
        else:
            data = files if place == "files" else cached
            # Keras adds one before the first epoch.
            x = data.batches("train", BATCH_SIZE, shuffle=True, epoch=epoch - 1)
        start = time.perf_counter(), time.process_time()
        history = vae.fit(x, batch_size=BATCH_SIZE, shuffle=False, verbose=0)
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
        return history.history["loss"][0]

    wall: list[float] = []
    processor: list[float] = []
    speeds: dict[str, list[float]] = {place: [] for place in PLACES}
    work: dict[str, list[float]] = {place: [] for place in PLACES}
    losses: dict[str, list[float]] = {place: [] for place in PLACES}
    for repetition in range(1, rounds + 2):
        # The order changes, so that none always trains on a warmer machine.
        shift = repetition % len(PLACES)
        for place in PLACES[shift:] + PLACES[:shift]:
            losses[place].append(train(place, repetition))
            if repetition > 1:
                speeds[place].append(count / wall[-1])
                work[place].append(processor[-1])
            print(f"{place:6} loss {losses[place][-1]:8.3f}  {count / wall[-1]:8.0f} samples/s")
    return {
        "samples": count,
        "batch_size": BATCH_SIZE,
        "rounds": rounds,
        "seconds_to_cache": seconds_to_cache,
        "device": device_name(keras.backend.backend()),
        "places": {
            place: {
                "samples_per_second": statistics.median(speeds[place]),
                "ratio": statistics.median(np.divide(speeds[place], speeds["memory"])),
                "ratio_min": float(np.divide(speeds[place], speeds["memory"]).min()),
                "ratio_max": float(np.divide(speeds[place], speeds["memory"]).max()),
                "processor_ratio": statistics.median(np.divide(work["memory"], work[place])),
                "losses": losses[place],
            }
            for place in PLACES
        },
        "environment": describe_environment(),
    }


def grow(size: int) -> dict:
    """How much memory reading a folder of so many images takes."""
    result: dict = {"images": size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "images"
        folder.mkdir()
        write_folder(folder, digits(size))
        # Another process writes the cache, as for every training but the first.
        load = "import sys, kelbo; kelbo.data.load(sys.argv[1], cache=sys.argv[2])"
        subprocess.run([sys.executable, "-c", load, folder, Path(name) / "cache"], check=True)
        for place in PLACES:
            command = [sys.executable, "-m", "benchmarks.streaming", "--read", place, name]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            result[place] = json.loads(output.splitlines()[-1])
    print(result)
    return result


def read_all(place: str, name: str) -> dict[str, int]:
    """The most memory, in bytes, that reading every image once in batches took."""
    from kelbo.data.stream import Batches

    before = memory()
    cache = Path(name) / "cache" if place == "cache" else False
    data = kelbo.data.load(Path(name) / "images", cache=cache)
    if place == "memory":
        data = kelbo.data.from_arrays(data.read("train", range(data.count("train"))))
    peak = memory()
    for _ in Batches(data, "train", BATCH_SIZE, shuffle=True):
        peak = {kind: max(size, peak[kind]) for kind, size in memory().items()}
    return {kind: peak[kind] - before[kind] for kind in peak}


def memory() -> dict[str, int]:
    """Bytes that this process holds: its own, and mapped files', which the system may reclaim."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return {
        kind: int(status[name].split()[0]) * 1024
        for kind, name in (("own", "RssAnon"), ("mapped", "RssFile"))
    }


def page(results: dict[str, dict]) -> str:
    """The page docs/streaming.md."""
    lines = [
        "# Images in memory, in files and in the cache",
        "",
        "Training samples per second of `VAE.fit` with the article's network on MNIST: from an",
        "array in memory, from a folder of PNG files that are decoded batch by batch, and from the",
        "cache that `kelbo train --cache` makes of that folder. The figures are medians of epochs",
        "that alternate in one process. A ratio compares the epochs of one round; its median over",
        "the rounds is given, with its range. The ratio of processor times does not count what",
        "other programs take. In a round the order, the batches and the first weights are the same",
        f"from each place. The aim is {AIM} where decoding is not the limit: files are decoded on",
        "the cores that also train, and the cache decodes nothing.",
        "",
        "| backend, device | place | samples/s | to memory's | by processor time | last loss |",
        "|---|---|---|---|---|---|",
    ]
    for _, result in sorted(results.items()):
        on = result["environment"]
        for place in PLACES:
            at = result["places"][place]
            lines.append(
                f"| {on['backend']} {on['backend_version']}, {result['device']} | {place} "
                f"| {at['samples_per_second']:,.0f} "
                f"| {at['ratio']:.2f} ({at['ratio_min']:.2f} to {at['ratio_max']:.2f}) "
                f"| {at['processor_ratio']:.2f} | {at['losses'][-1]:.3f} |"
            )
    lines += [
        "",
        "The most memory that loading a folder and reading each image once took, in MB, without a",
        "model: the process's own + the pages of the mapped cache, which the system takes back",
        "when it needs them.",
        "",
        f"| backend, device | images | {' | '.join(PLACES)} |",
        "|---|---|---|---|---|",
    ]
    for entry, result in sorted(results.items()):
        for row in result["growth"]:
            cells = [f"{row[p]['own'] / 1e6:.0f} + {row[p]['mapped'] / 1e6:.0f}" for p in PLACES]
            lines.append(f"| {entry} | {row['images']:,} | {' | '.join(cells)} |")
    lines.append("")
    for entry, result in sorted(results.items()):
        on = result["environment"]
        lines.append(
            f"- {entry}: {on['date'][:10]}, Keras {on['keras']}, {result['rounds']} epochs of "
            f"{result['samples']:,} images from each place, batch {result['batch_size']}, "
            f"{on['cpu_count']} cores of {on['processor']}; writing the cache took "
            f"{result['seconds_to_cache']:.1f} s."
        )
    lines += ["", "Made by `make benchmark` from benchmarks/results/streaming.json.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=6_400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 30_000])
    parser.add_argument("--page", action="store_true", help="only make the page again")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)  # what `grow` runs
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read_all(*arguments.read)))
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        result = measure(arguments.samples, arguments.rounds, arguments.sizes)
        entry = f"{result['environment']['backend']}, {result['device']}"
        results[entry] = result
        files.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
        for place in PLACES[1:]:
            print(f"{place} / memory on {entry}: {result['places'][place]['ratio']:.3f}")
    files.write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
