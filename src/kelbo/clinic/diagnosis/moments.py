"""Mean and variance of a q(z|x) that is not normal, from many of its draws."""

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import Distribution
from kelbo.errors import UsageError

# Draws of each datum. Means of so many differ by chance by less than what counts as active; a
# variance is wanted to its order of magnitude alone.
_FOR_MEANS, _FOR_VARIANCES = 1024, 128
_AT_A_TIME = 16


def moments(q: Distribution, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the logarithm of the variance of each dimension, (batch, *event) each.

    Args:
        q: of which the mean is taken in closed form where there is one.
        seed: of the draws.
    """
    try:
        mean, count = ops.convert_to_numpy(q.mean()).astype("float64"), _FOR_VARIANCES
    except UsageError:
        mean, count = None, _FOR_MEANS
    generator = keras.random.SeedGenerator(seed)
    total, squares = 0.0, 0.0
    # Around one draw of each, so that no digits cancel.
    start = ops.convert_to_numpy(q.sample(generator)).astype("float64")
    for _ in range(count // _AT_A_TIME):
        draws = ops.convert_to_numpy(q.sample(generator, (_AT_A_TIME,))) - start
        total = total + draws.sum(axis=0)
        squares = squares + np.square(draws).sum(axis=0)
    variance = (squares - np.square(total) / count) / (count - 1)
    mean = start + total / count if mean is None else mean
    log_var = np.log(np.maximum(variance, np.finfo("float32").tiny))
    return mean.astype("float32"), log_var.astype("float32")
