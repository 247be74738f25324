"""The loss and the gradients that a recipe has to reach: those of kelbo's own model.

The model is `kelbo.VAE` with the article's weighting (`ArticleObjective`), or `kelbo.AE`; the
gradient is taken from a real training step.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.clinic.recipes.parity import LATENT_DIM, inputs
from kelbo.data import mnist
from kelbo.model import LatentVariableModel
from kelbo.objectives import ArticleObjective
from kelbo.presets import ae, article
from kelbo.vae import VAE

_SHAPE = (28, 28, 1)

# A step so large that it dwarfs the rounding of the weights; a power of two divides exactly.
_LEARNING_RATE = 1024.0


class _FixedNoiseVAE(VAE):
    """A VAE that takes the noise that it is given instead of drawing it."""

    epsilon: np.ndarray

    def draw(
        self,
        inputs: Any,
        encoded: dict[str, Any],
        sample_shape: tuple[int, ...],
        seed: Any,
        training: bool | None = None,
    ) -> dict[str, Any]:
        """z at that noise, and p(x|z)."""
        mu, log_var = encoded["posterior"]["mu"], encoded["posterior"]["log_var"]
        z = mu + ops.exp(0.5 * log_var) * ops.convert_to_tensor(self.epsilon)
        likelihood = self.likelihood(z, training=training)
        return {**encoded, "z": z, "likelihood": likelihood}


def parity_arrays(kind: str) -> dict[str, np.ndarray]:
    """All that a recipe is given and has to reach, in the article's units (means, not sums).

    Args:
        kind: "article" or "ae".

    Returns:
        What `kelbo.clinic.recipes.parity.inputs` gives for MNIST's first images; `loss`;
        `gradient:NAME` for each `weight:NAME`; `plain:NAME`, the same without the KL.
    """
    (images, _), _ = mnist()
    arrays = inputs(kind, images)
    loss, gradient = _step(kind, ArticleObjective(), arrays)
    plain = gradient if kind == "ae" else _step(kind, ArticleObjective(weight=0.0), arrays)[1]
    return {
        **arrays,
        "loss": np.asarray(loss),
        **{f"gradient:{name}": array for name, array in gradient.items()},
        **{f"plain:{name}": array for name, array in plain.items()},
    }


def _step(
    kind: str, objective: ArticleObjective, arrays: dict[str, np.ndarray]
) -> tuple[float, dict[str, np.ndarray]]:
    """One step of plain gradient descent: the loss before it, and what it did to the weights."""
    model = _model(kind, objective, arrays["noise"])
    layers = _layers(model)
    weights = {
        name.removeprefix("weight:"): array
        for name, array in arrays.items()
        if name.startswith("weight:")
    }
    for name, layer in layers.items():
        layer.set_weights([weights[f"{name}/kernel"], weights[f"{name}/bias"]])
    model.compile(keras.optimizers.SGD(_LEARNING_RATE))
    logs = model.train_on_batch(arrays["images"], return_dict=True)
    # The autoencoder's loss is a sum over pixels.
    scale = 1.0 / model.data_dim if kind == "ae" else 1.0
    gradient = {}
    for name, layer in layers.items():
        for part, after in zip(("kernel", "bias"), layer.get_weights(), strict=True):
            step = weights[f"{name}/{part}"].astype(np.float64) - after
            gradient[f"{name}/{part}"] = scale * step / _LEARNING_RATE
    return scale * float(logs["loss"]), gradient


def _model(kind: str, objective: ArticleObjective, noise: np.ndarray) -> LatentVariableModel:
    if kind == "ae":
        return ae(_SHAPE, LATENT_DIM)
    parts = article(_SHAPE, LATENT_DIM)
    model = _FixedNoiseVAE(parts.posterior, parts.likelihood, parts.prior, objective)
    model.epsilon = noise
    return model


def _layers(model: LatentVariableModel) -> dict[str, keras.Layer]:
    """The layers with weights, by the names that the recipes give them."""
    posterior = model.posterior
    heads = ("mu", "log_var") if hasattr(posterior, "mu") else ("z",)
    layers = [*posterior.network.layers, *model.likelihood.network.layers]
    named = {layer.name: layer for layer in layers if layer.weights}
    return named | {head: getattr(posterior, head) for head in heads}
