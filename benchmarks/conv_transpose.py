"""Time the article's network with kelbo's transposed convolution against Keras's own, on JAX.

    KERAS_BACKEND=jax python -m benchmarks.conv_transpose
    KERAS_BACKEND=jax python -m benchmarks.conv_transpose --precision bf16 --samples 60000  # GPU

Two VAEs with the same weights and seed differ in the class of that layer alone. Training epochs,
evaluations and sampling alternate between the two; the losses are printed beside the times and
must agree. The result is one entry for each device and precision in
benchmarks/results/conv_transpose.json.

Wall-clock time depends on what else the machine does, so processor time is measured beside it.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

import kelbo
from benchmarks.device import device_name
from kelbo import files
from kelbo.networks import Conv2DTranspose
from kelbo.precision import PRECISIONS
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "conv_transpose.json"


def keras_s_own(vae: kelbo.VAE) -> kelbo.VAE:
    """A copy of the VAE with Keras's own layer in place of kelbo's."""

    def clone(layer: keras.Layer) -> keras.Layer:
        kind = layers.Conv2DTranspose if isinstance(layer, Conv2DTranspose) else type(layer)
        return kind.from_config(layer.get_config())

    encoder = keras.models.clone_model(vae.posterior.network)
    decoder = keras.models.clone_model(vae.likelihood.network, clone_function=clone)
    other = kelbo.VAE(
        kelbo.GaussianPosterior(encoder, vae.latent_dim), kelbo.BernoulliLikelihood(decoder), seed=0
    )
    other.set_weights(vae.get_weights())
    return other


def measure(samples: int, batch_size: int, rounds: int, precision: str) -> dict:
    """Images per second of both and processor milliseconds per batch, after a warm-up round."""
    (x, _), _ = kelbo.data.mnist()
    x = x[:samples]
    vae = kelbo.presets.vae(x.shape[1:], seed=0, precision=precision)
    models = {"kelbo": vae, "keras": keras_s_own(vae)}
    for model in models.values():
        model.compile("adam")
    z = np.random.default_rng(0).standard_normal((samples, vae.latent_dim)).astype("float32")
    options = {"batch_size": batch_size, "verbose": 0}
    work = {
        "train": lambda model: model.fit(x, shuffle=False, **options).history["loss"][0],
        "evaluate": lambda model: model.evaluate(x, return_dict=True, **options)["loss"],
        "decode": lambda model: float(model.decode(z, batch_size).mean()),
    }
    runs_of = {task: {name: [] for name in models} for task in work}
    for repetition in range(rounds + 1):
        for task, function in work.items():
            # Each is first in every other round, so that neither always finds a warmer machine.
            for name in list(models)[:: 1 if repetition % 2 == 0 else -1]:
                start = time.perf_counter(), time.process_time()
                value = function(models[name])
                wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
                runs_of[task][name].append((samples / wall, processor * 1e3 * batch_size / samples))
                print(f"{task:8} {name} {value:12.6f} {samples / wall:8.0f} images/s", flush=True)
    return {
        "samples": samples,
        "batch_size": batch_size,
        "rounds": rounds,
        "tasks": {task: summary(runs_of[task]) for task in work},
        "environment": describe_environment(),
    }


def summary(both: dict[str, list[tuple[float, float]]]) -> dict:
    """Medians and ranges, without the first round."""
    values = {name: np.array(pairs[1:]) for name, pairs in both.items()}
    ratios = {
        "speed_ratio": values["kelbo"][:, 0] / values["keras"][:, 0],
        "processor_ratio": values["keras"][:, 1] / values["kelbo"][:, 1],
    }
    result = {key: [statistics.median(r), r.min(), r.max()] for key, r in ratios.items()}
    for name, pairs in values.items():
        for column, key in enumerate(("images_per_second", "processor_ms_a_batch")):
            one = pairs[:, column]
            result[f"{name}_{key}"] = [statistics.median(one), one.min(), one.max()]
    return {key: [round(float(v), 3) for v in values] for key, values in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=640)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", choices=list(PRECISIONS), default="float32")
    arguments = parser.parse_args()
    if keras.backend.backend() != "jax":
        parser.error("the two differ on JAX alone: set KERAS_BACKEND=jax")
    result = measure(arguments.samples, arguments.batch_size, arguments.rounds, arguments.precision)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[f"{device_name('jax')}, {arguments.precision}"] = result
    files.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
    print(json.dumps(result["tasks"], indent=2))


if __name__ == "__main__":
    main()
