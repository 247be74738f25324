"""What a model without latents, and the best of all models, would reach on the test images."""

import numpy as np
from keras import ops

from kelbo.data import Dataset
from kelbo.distributions import Bernoulli
from kelbo.distributions.distribution import Distribution
from kelbo.model import LatentVariableModel

# So many training images say enough about the mean of each pixel; the values that are held at
# once are limited, too, because the images may be large and lie on disk.
_IMAGES = 10_000
_VALUES = 2**26


def best_constant(model: LatentVariableModel, data: Dataset) -> np.ndarray | None:
    """log p(x) in nats of each test image under the best p(x|z) that does not depend on z.

    It is fitted to the training images, dimension by dimension (`Distribution.best_constant`).
    What p(x|z) does not fit, such as a fixed variance, is the model's own. A VAE that is not
    better has learnt nothing about how pixels go together.

    Returns:
        (n,), or None where p(x|z) knows no best constant, or where that still depends on z, as it
        does where each image has a variance of its own.
    """
    count, test = data.count("train"), data.count("test")
    used = max(1, min(count, _IMAGES, _VALUES // model.data_dim))
    x = data.read("train", np.linspace(0, count - 1, used).astype(int))
    # Of the z of two images, to see whether z matters.
    constants = [
        _px_z(model, data.read("test", [index])).best_constant(x) for index in (0, test - 1)
    ]
    found = []
    for start in range(0, test, used):
        images = data.read("test", range(start, min(start + used, test)))
        log_prob, other = (_log_prob(constant, images, used) for constant in constants)
        if log_prob is None or other is None or not np.allclose(log_prob, other, rtol=1e-5):
            return None
        found.append(log_prob)
    return np.concatenate(found)


def _px_z(model: LatentVariableModel, x: np.ndarray) -> Distribution:
    """p(x|z) at one draw of z for each datum."""
    passed = model.draw(x, model.encode_once(x, training=False), (), seed=0, training=False)
    return model.trace(x, passed).px_z


def _log_prob(constant: Distribution | None, x: np.ndarray, rows: int) -> np.ndarray | None:
    """log p(x) of at most as many data as the constant has rows, which are all the same."""
    if constant is None:
        return None
    filled = np.resize(x, (rows, *x.shape[1:]))
    return ops.convert_to_numpy(constant.log_prob(filled))[: len(x)]


def pixel_entropy(
    model: LatentVariableModel, data: Dataset, batch_size: int = 1000
) -> np.ndarray | None:
    """The largest log p(x|z) in nats that any Bernoulli reaches on each test image.

    A grey pixel x costs at least its own entropy H(x) = -x log x - (1 - x) log(1 - x): its binary
    cross-entropy is no log-likelihood.

    Returns:
        (n,), or None where p(x|z) is no Bernoulli or all pixels are black or white.
    """
    if not isinstance(_px_z(model, data.read("test", [0])), Bernoulli):
        return None
    entropy = np.concatenate([_entropy(x) for x in data.iterate("test", batch_size)])
    return -entropy if entropy.any() else None


def _entropy(x: np.ndarray) -> np.ndarray:
    """The entropy of each image, the sum over its pixels in [0, 1]: (n,)."""
    inside = (x > 0.0) & (x < 1.0)
    safe = np.where(inside, x, 0.5).astype("float64")
    each = np.where(inside, -safe * np.log(safe) - (1.0 - safe) * np.log1p(-safe), 0.0)
    return each.reshape(len(x), -1).sum(axis=1)
