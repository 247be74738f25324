"""kelbo: a preset, `compile` and `fit`, as its README shows them."""

from typing import Any
from unittest.mock import patch

import keras
import numpy as np

import kelbo
from benchmarks.speed.contestants import Gate
from benchmarks.speed.work import Work


class KelboFit:
    """`VAE.fit`."""

    def __init__(self, work: Work, weights: dict[str, Any], device: str):
        self.work = work
        options = {"latent_dim": work.latent_dim, "network": work.network, "seed": 0}
        if work.precision == "bfloat16":
            options["precision"] = "bfloat16"
        if work.importance_samples == 1:
            self.vae = kelbo.presets.vae(work.shape, **options)
        else:
            options["importance_samples"] = work.importance_samples
            self.vae = kelbo.presets.iwae(work.shape, **options)
        if work.network == "conv":
            set_weights(self.vae, weights)
        self.vae.compile("adam")

    def loss(self, x: np.ndarray, epsilon: np.ndarray) -> float:
        """`compute_loss` of `call`."""
        if self.work.importance_samples == 1:
            epsilon = epsilon[0]
        x, epsilon = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(epsilon)
        with patch.object(keras.random, "normal", lambda *args, **kwargs: epsilon):
            return float(self.vae.compute_loss(x, None, self.vae(x)))

    def train(self, x: np.ndarray, gate: Gate) -> None:
        """Train."""
        self.vae.fit(
            x,
            batch_size=self.work.batch_size,
            epochs=gate.epochs,
            verbose=0,
            callbacks=[epochs_of(gate)],
        )


def epochs_of(gate: Gate) -> keras.callbacks.Callback:
    """A Keras callback that stands between `fit` and the gate."""
    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: gate.begin(),
        on_epoch_end=lambda epoch, logs: gate.end(logs["loss"]),
    )


def set_weights(vae: kelbo.VAE, weights: dict[str, Any]) -> None:
    """Give a VAE of the article's network the common weights."""
    networks = vae.posterior.network, vae.likelihood.network
    for name, values in weights.items():
        if hasattr(vae.posterior, name):
            layer = getattr(vae.posterior, name)
        else:
            layer = networks[name.startswith("dec")].get_layer(name)
        layer.set_weights(values)
