"""Figures to print beside those of a Bernoulli model, so that they mean something."""

from collections.abc import Callable

import numpy as np

from kelbo.data import Dataset
from kelbo.distributions.bernoulli import laplace_mean

# Streamed images are read from disk; this many say enough about the mean of each pixel.
_STREAMED_IMAGES = 10_000


def independent_pixels(data: Dataset, batch_size: int = 1000) -> float:
    """Negative log-likelihood in nats of the test images under the best model without latents.

    Every pixel is an independent Bernoulli with the mean that it has in the training images. A
    VAE that is not better than this has learnt nothing about how pixels go together.
    """
    count = data.count("train")
    used = count if isinstance(data.train, np.ndarray) else min(count, _STREAMED_IMAGES)
    indices = np.linspace(0, count - 1, used).astype(int)
    total = np.zeros(data.data_shape)
    for start in range(0, used, batch_size):
        total += data.read("train", indices[start : start + batch_size]).sum(0, dtype="float64")
    mean = laplace_mean(total, used)
    log_on, log_off = np.log(mean), np.log1p(-mean)
    return _mean_over_test(data, batch_size, lambda x: -(x * log_on + (1.0 - x) * log_off))


def pixel_entropy(data: Dataset, batch_size: int = 1000) -> float:
    """The smallest binary cross-entropy in nats that any reconstruction of grey pixels can reach.

    It is the sum of the pixels' own entropies H(x) = -x log x - (1 - x) log(1 - x): 0 for black
    and white.
    """

    def entropy(x: np.ndarray) -> np.ndarray:
        inside = (x > 0.0) & (x < 1.0)
        safe = np.where(inside, x, 0.5)
        return np.where(inside, -safe * np.log(safe) - (1.0 - safe) * np.log1p(-safe), 0.0)

    return _mean_over_test(data, batch_size, entropy)


def _mean_over_test(
    data: Dataset, batch_size: int, per_pixel: Callable[[np.ndarray], np.ndarray]
) -> float:
    total = 0.0
    for x in data.iterate("test", batch_size):
        total += float(per_pixel(x.astype("float64")).sum())
    return total / data.count("test")
