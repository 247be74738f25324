"""The weights, images and noise that every recipe is given, so that all can be compared.

They are stored as one plain .npz, which NumPy reads in every environment: `weight:LAYER/kernel` and
`weight:LAYER/bias` for each layer of the article's network, `images`, `noise`, and, from
`kelbo.clinic.recipes.reference`, the `loss` and the `gradient:...` that a recipe has to reach.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kelbo.files import replacing

LATENT_DIM = 16
IMAGES = 32  # in the one batch whose gradient is compared
TRAINING_IMAGES = 256  # in the short training

# The encoder's and the decoder's kernels; a convolution's is (3, 3, in, out), a transposed one's
# (3, 3, out, in), in every Keras.
_ENCODER = {
    "enc_conv_1": (3, 3, 1, 32),
    "enc_conv_2": (3, 3, 32, 64),
    "enc_conv_3": (3, 3, 64, 128),
}
_HEADS = {
    "article": {"mu": (6272, LATENT_DIM), "log_var": (6272, LATENT_DIM)},
    "ae": {"z": (6272, LATENT_DIM)},
}
_DECODER = {
    "dec_dense": (LATENT_DIM, 6272),
    "dec_conv_3": (3, 3, 64, 128),
    "dec_conv_2": (3, 3, 32, 64),
    "dec_conv_1": (3, 3, 1, 32),
}

KINDS = tuple(_HEADS)


def inputs(kind: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Weights, images and noise; the same at every call with the same images.

    The weights give the KL a good part of the gradient that reaches mu and log_var, although the
    article's constant makes its weight tiny: mu is about 2, log_var about 3, and z changes the
    decoder's output only a little. So a KL that does not arrive cannot go unseen.

    Args:
        kind: "article" for the VAE, "ae" for the autoencoder.
        images: at least 256, (n, 28, 28, 1) in [0, 1].

    Returns:
        `weight:NAME` in float32; `images` (32, 28, 28, 1) and `train_images` (256, 28, 28, 1) in
        [0, 1]; `noise` (1, 16), which every image of the batch gets.
    """
    random = np.random.RandomState(20220523)  # its draws are the same in every NumPy
    arrays = {}
    for name, shape in {**_ENCODER, **_HEADS[kind], **_DECODER}.items():
        transposed = name.startswith("dec_conv")
        fan_in = shape[0] * shape[1] * shape[3] if transposed else math.prod(shape[:-1])
        units = shape[2] if transposed else shape[-1]
        scale = 0.03 if name == "dec_dense" else 1.0
        arrays[f"weight:{name}/kernel"] = scale * random.standard_normal(shape) / math.sqrt(fan_in)
        arrays[f"weight:{name}/bias"] = 0.1 * random.standard_normal(units)
    if kind == "article":
        arrays["weight:mu/bias"] += 2.0
        arrays["weight:log_var/bias"] += 3.0
    arrays["noise"] = random.standard_normal((1, LATENT_DIM))
    arrays["images"] = images[:IMAGES]
    arrays["train_images"] = images[:TRAINING_IMAGES]
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the .npz, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
