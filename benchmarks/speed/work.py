"""The work of every contestant: images, weights, and the noise for comparing losses."""

import math
from dataclasses import dataclass

import numpy as np

from kelbo.data import mnist
from kelbo.data.resize import resized, with_channels

FILTERS = (32, 64, 128)
STRIDES = (1, 2, 2)
SLOPE = 0.3
# The number of images on which the losses are compared before the race.
COMPARED = 32


@dataclass(frozen=True)
class Work:
    """One training: what is computed and on how much.

    Attributes:
        rows: images in an epoch.
        batch_size: images in a step.
        side: height and width of an image; a multiple of 4.
        channels: 1 or 3.
        latent_dim: size of z.
        importance_samples: K of the IWAE; 1 is the ELBO with the KL in closed form.
        precision: "float32" or "bfloat16", of the networks; losses are float32.
        network: "conv", the article's, or "mlp", which kelbo alone has.
    """

    rows: int
    batch_size: int
    side: int = 28
    channels: int = 1
    latent_dim: int = 16
    importance_samples: int = 1
    precision: str = "float32"
    network: str = "conv"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.side, self.side, self.channels

    @property
    def small_side(self) -> int:
        """Height and width after the strided convolutions."""
        return self.side // math.prod(STRIDES)


def images(work: Work) -> np.ndarray:
    """MNIST, resized, in grey or colour, repeated: (rows, *shape), pixels in [0, 1]."""
    (x, _), _ = mnist()
    x = x[: work.rows]
    if work.channels != 1:
        x = with_channels(x, work.channels)
    if work.side != x.shape[1]:
        x = resized(x, (work.side, work.side))
    # np.resize repeats its argument, one array after the other.
    return x if len(x) == work.rows else np.resize(x, (work.rows, *work.shape))


def weights(work: Work) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The kernel and the bias of every layer of the article's network, as Keras stores them."""
    generator = np.random.default_rng(0)
    channels, features = (work.channels, *FILTERS), work.small_side**2 * FILTERS[-1]
    pairs = list(zip(channels[:-1], channels[1:], strict=True))
    shapes = {f"enc_conv_{i}": (3, 3, *pair) for i, pair in enumerate(pairs, start=1)}
    shapes |= {name: (features, work.latent_dim) for name in ("mu", "log_var")}
    shapes |= {"dec_dense": (work.latent_dim, features)}
    # A transposed convolution has its outputs before its inputs: its shapes are the encoder's.
    shapes |= {f"dec_conv_{i}": (3, 3, *pairs[i - 1]) for i in range(len(pairs), 0, -1)}

    def draw(name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        receptive = math.prod(shape[:-2])
        limit = math.sqrt(6.0 / (receptive * (shape[-1] + shape[-2])))  # Glorot's uniform
        outputs = shape[-2] if name.startswith("dec_conv") else shape[-1]
        kernel = generator.uniform(-limit, limit, shape)
        return kernel.astype("float32"), np.zeros(outputs, "float32")

    return {name: draw(name, shape) for name, shape in shapes.items()}


def noise(work: Work) -> np.ndarray:
    """Standard normal noise for the compared images, (K, COMPARED, latent_dim)."""
    shape = work.importance_samples, COMPARED, work.latent_dim
    return np.random.default_rng(1).standard_normal(shape).astype("float32")
