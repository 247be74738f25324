"""Train the same VAE in float32 and in bfloat16, and compare the ELBO on MNIST's test images.

    KERAS_BACKEND=tensorflow python -m benchmarks.precision
    KERAS_BACKEND=jax python -m benchmarks.precision --network conv --images 6400 --epochs 3
    python -m benchmarks.precision --page

All trainings of a seed have the same first weights, order of the images and noise. For comparison,
float32 trains once more from first weights that are off by a ten-thousandth: two trainings drift
apart by themselves, and only a larger difference shows an effect of bfloat16. The result is one
entry for each backend, device and size in benchmarks/results/precision.json, from which
docs/precision.md is made.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np

import kelbo
from benchmarks.device import device_name
from kelbo import files
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "precision.json"
PAGE = Path(__file__).parent.parent / "docs" / "precision.md"
AIM = 0.5  # nats
OFF = 1e-4
# The precision of the networks, and how far the first weights are off.
TRAININGS = {
    "float32": ("float32", 0.0),
    "bfloat16": ("bfloat16", 0.0),
    "float32, first weights off": ("float32", OFF),
}


def start(
    data_shape: tuple[int, ...], network: str, seed: int, precision: str, off: float
) -> kelbo.VAE:
    """A compiled VAE with the first weights of a seed, each off by about `off` of itself."""
    keras.utils.set_random_seed(seed)  # for the order of the images, too
    vae = kelbo.presets.vae(data_shape, network=network, precision=precision, seed=seed)
    generator = np.random.default_rng(seed)
    for weight in vae.trainable_variables:
        noise = generator.standard_normal(weight.shape).astype("float32")
        weight.assign(keras.ops.convert_to_numpy(weight) * (1.0 + off * noise))
    vae.compile("adam")
    return vae


def train(
    images: np.ndarray, network: str, epochs: int, seed: int, precision: str, off: float
) -> tuple[kelbo.VAE, float]:
    """The trained VAE, and the seconds that its training took."""
    vae = start(images.shape[1:], network, seed, precision, off)
    before = time.perf_counter()
    vae.fit(images, batch_size=128, epochs=epochs, verbose=0)
    return vae, time.perf_counter() - before


def measure(network: str, images: int, epochs: int, seeds: int) -> dict:
    """The ELBO in nats after each training, and the seconds that it took."""
    (x, _), (x_test, _) = kelbo.data.mnist()
    elbo: dict[str, list[float]] = {name: [] for name in TRAININGS}
    seconds: dict[str, list[float]] = {name: [] for name in TRAININGS}
    for seed in range(seeds):
        for name, (precision, off) in TRAININGS.items():
            vae, spent = train(x[:images], network, epochs, seed, precision, off)
            scores = vae.evaluate(x_test, batch_size=500, verbose=0, return_dict=True)
            elbo[name].append(scores["elbo"])
            seconds[name].append(spent)
            print(f"seed {seed} {name:28} {elbo[name][-1]:10.3f} nats {spent:7.1f} s", flush=True)
    return {
        "network": network,
        "images": len(x[:images]),
        "epochs": epochs,
        "elbo": elbo,
        "seconds": seconds,
        "device": device_name(keras.backend.backend()),
        "environment": describe_environment(),
    }


def differences(result: dict, name: str) -> np.ndarray:
    """The ELBO of each seed's training minus that in float32, in nats."""
    return np.subtract(result["elbo"][name], result["elbo"]["float32"])


def page(results: dict[str, dict]) -> str:
    """The page docs/precision.md."""
    others = list(TRAININGS)[1:]
    within = {
        name: [abs(d) <= AIM for r in results.values() for d in differences(r, name)]
        for name in others
    }
    counts = [f"{sum(found)} of {len(found)} ({name})" for name, found in within.items()]
    lines = [
        "# bfloat16 against float32",
        "",
        "The ELBO on MNIST's 10,000 test images after training in bfloat16 (`--precision bf16`),",
        "minus that after training in float32, in nats, for each seed, with the same first",
        "weights, images, order and noise. For comparison, a second training in float32 whose",
        "first weights are off by a ten-thousandth, minus the first: trainings drift apart by",
        "themselves, too.",
        f"The aim is {AIM} nats; {' and '.join(counts)} are within it.",
        "",
        "| backend, device | network | images x epochs | ELBO in float32 | bfloat16 minus float32 "
        "| float32, first weights off, minus float32 | measured |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, result in sorted(results.items()):
        on = result["environment"]
        cells = [
            ", ".join(f"{d:+.2f}" for d in differences(result, name))
            + f"; mean {differences(result, name).mean():+.2f}"
            for name in others
        ]
        lines.append(
            f"| {on['backend']} {on['backend_version']}, {result['device']} | {result['network']} "
            f"| {result['images']:,} x {result['epochs']} "
            f"| {', '.join(f'{e:.2f}' for e in result['elbo']['float32'])} | {' | '.join(cells)} "
            f"| {on['date'][:10]}, Keras {on['keras']}, {on['cpu_count']} cores of "
            f"{on['processor']} |"
        )
    lines += [
        "",
        "Made by `python -m benchmarks.precision` from benchmarks/results/precision.json.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=["mlp", "conv"], default="mlp")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="only make the page again")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        if min(arguments.images, arguments.epochs, arguments.seeds) < 1:
            parser.error("at least one image, one epoch and one seed")
        result = measure(arguments.network, arguments.images, arguments.epochs, arguments.seeds)
        size = f"{result['images']} x {result['epochs']}"
        entry = (keras.backend.backend(), result["device"], result["network"], size)
        results[", ".join(entry)] = result
        files.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
    files.write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
