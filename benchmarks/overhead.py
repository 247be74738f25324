"""Time `VAE.fit` against Keras's own fit of a bare functional model with the same layers.

    KERAS_BACKEND=tensorflow python -m benchmarks.overhead
    python -m benchmarks.overhead --page

Both models have the article's network, the same weights at the start, the same data, batch size
and optimiser, and both minimise binary cross-entropy plus KL, so that neither wins by doing less;
their losses are printed beside the times. Epochs alternate between the two. The result is stored
in benchmarks/results/overhead.json, one entry a backend, and docs/overhead.md is made of it.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import kelbo
from kelbo import runs
from kelbo.posteriors.gaussian import GaussianSampling
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "overhead.json"
PAGE = Path(__file__).parent.parent / "docs" / "overhead.md"
AIM = 0.95


class AddKL(layers.Layer):
    """Hands [mu, log_var] on and adds the mean KL over the batch to the loss."""

    def call(self, inputs):
        mu, log_var = inputs
        kl = 0.5 * ops.sum(ops.exp(log_var) + ops.square(mu) - 1.0 - log_var, axis=-1)
        self.add_loss(ops.mean(kl))
        return mu, log_var


def bare_model(vae: kelbo.VAE) -> keras.Model:
    """A functional model with layers like the VAE's and its weights."""
    encoder = keras.models.clone_model(vae.posterior.network)
    decoder = keras.models.clone_model(vae.likelihood.network)
    features = encoder.output
    parameters = [layers.Dense(vae.latent_dim, name=name)(features) for name in ("mu", "log_var")]
    z = GaussianSampling(seed=0)(AddKL()(parameters))
    model = keras.Model(encoder.input, decoder(z))
    # Keras's binary cross-entropy is a mean over pixels; as a sum it is the VAE's.
    pixels = vae.data_dim
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("adam", loss=lambda y, logits: pixels * cross_entropy(y, logits))
    encoder.set_weights(vae.posterior.network.get_weights())
    decoder.set_weights(vae.likelihood.network.get_weights())
    for name in ("mu", "log_var"):
        model.get_layer(name).set_weights(getattr(vae.posterior, name).get_weights())
    return model


def measure(samples: int, batch_size: int, rounds: int) -> dict:
    """Samples a second of both, epoch by epoch in turn, after one epoch to warm up."""
    (x, _), _ = kelbo.data.mnist()
    x = x[:samples]
    keras.utils.set_random_seed(0)
    vae = kelbo.presets.vae(x.shape[1:], seed=0)
    vae.compile("adam")
    bare = bare_model(vae)
    trainings = {
        "kelbo": lambda: vae.fit(x, batch_size=batch_size, verbose=0),
        "keras": lambda: bare.fit(x, x, batch_size=batch_size, verbose=0),
    }
    speeds: dict[str, list[float]] = {name: [] for name in trainings}
    losses: dict[str, list[float]] = {name: [] for name in trainings}
    for repetition in range(rounds + 1):
        # Each is first in every other round, so that neither always trains on a warmer machine.
        names = list(trainings) if repetition % 2 == 0 else list(reversed(trainings))
        for name in names:
            train = trainings[name]
            start = time.perf_counter()
            history = train()
            seconds = time.perf_counter() - start
            losses[name].append(history.history["loss"][0])
            if repetition:
                speeds[name].append(samples / seconds)
            print(f"{name:6} loss {losses[name][-1]:8.3f}  {samples / seconds:8.0f} samples/s")
    ratios = np.divide(speeds["kelbo"], speeds["keras"])
    return {
        "samples": samples,
        "batch_size": batch_size,
        "rounds": rounds,
        "kelbo_samples_per_second": statistics.median(speeds["kelbo"]),
        "keras_samples_per_second": statistics.median(speeds["keras"]),
        "ratio": statistics.median(ratios),
        "ratio_min": float(ratios.min()),
        "ratio_max": float(ratios.max()),
        "kelbo_losses": losses["kelbo"],
        "keras_losses": losses["keras"],
        "environment": describe_environment(),
    }


def page(results: dict[str, dict]) -> str:
    """docs/overhead.md."""
    lines = [
        "# Overhead of `VAE.fit`",
        "",
        "Training samples a second of `VAE.fit` and of Keras's own `fit` on a functional model",
        "with the same layers and the same loss: the article's network on MNIST. Medians of",
        "epochs that alternate in one process; the ratio is the median of the ratios of",
        f"neighbouring epochs, with its range. The aim on TensorFlow is {AIM}.",
        "",
        "| backend | kelbo | Keras | ratio | last loss, kelbo / Keras | measured |",
        "|---|---|---|---|---|---|",
    ]
    for backend, result in sorted(results.items()):
        on = result["environment"]
        lines.append(
            f"| {backend} {on['backend_version']} | {result['kelbo_samples_per_second']:,.0f} "
            f"| {result['keras_samples_per_second']:,.0f} "
            f"| {result['ratio']:.2f} ({result['ratio_min']:.2f} to {result['ratio_max']:.2f}) "
            f"| {result['kelbo_losses'][-1]:.1f} / {result['keras_losses'][-1]:.1f} "
            f"| {on['date'][:10]}, Keras {on['keras']}, {result['rounds']} epochs of "
            f"{result['samples']:,} images, batch {result['batch_size']}, "
            f"{on['cpu_count']} cores of {on['processor']} |"
        )
    lines += ["", "Made by `make benchmark` from benchmarks/results/overhead.json.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=12_800)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", action="store_true", help="only make the page again")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        result = measure(arguments.samples, arguments.batch_size, arguments.rounds)
        results[keras.backend.backend()] = result
        runs.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
        print(f"kelbo / Keras on {keras.backend.backend()}: {result['ratio']:.3f} (aim {AIM})")
    runs.write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
