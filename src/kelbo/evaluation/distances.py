"""How far the samples of a model are from the data, in pixels or in the features of a network."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kelbo.data import Dataset
from kelbo.errors import DataError
from kelbo.loading import load_safely
from kelbo.model import LatentVariableModel
from kelbo.single_group import SingleGroup

# So many samples are compared with as many test images; of large data fewer, so that they fit.
SAMPLES = 2000
_VALUES = 2**26

# Data, (n, *data_shape), to vectors, (n, d).
Features = Callable[[np.ndarray], np.ndarray]


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The squared Fréchet distance of two normal distributions fitted to vectors.

    |mean_x - mean_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)): Heusel et al., "GANs trained by a two
    time-scale update rule converge to a local Nash equilibrium", 2017, equation 6, which takes the
    vectors from the Inception network. It is biased upwards, the more so the fewer the vectors:
    compare distances of equally many alone.

    Args:
        x: (n, d), n >= 2.
        y: (m, d), m >= 2.
    """
    x, y = x.astype("float64"), y.astype("float64")
    a, b = _root(x), _root(y)
    # tr (C_x C_y)^(1/2) is the sum of the singular values of A B', where C_x = A'A and C_y = B'B.
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    between = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    return float(max(between + np.square(a).sum() + np.square(b).sum() - 2.0 * shared, 0.0))


def _root(x: np.ndarray) -> np.ndarray:
    """A with A'A the covariance of vectors; of no more rows than columns."""
    a = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(a, mode="r")) if len(a) > a.shape[1] else a


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The squared maximum mean discrepancy under k(x, y) = (x'y / d + 1)^3, without bias.

    Binkowski et al., "Demystifying MMD GANs", 2018, section 3.1, where the vectors are Inception's
    (KID). In expectation 0 where both come from one distribution, so that it may be negative.

    Args:
        x: (n, d), n >= 2.
        y: (m, d), m >= 2.
    """
    x, y = x.astype("float64"), y.astype("float64")

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1.0) ** 3

    def mean_of_pairs(a: np.ndarray) -> float:
        own = kernel(a, a)
        return (own.sum() - np.trace(own)) / (len(a) * (len(a) - 1))

    return float(mean_of_pairs(x) + mean_of_pairs(y) - 2.0 * kernel(x, y).mean())


def distance_figures(
    model: LatentVariableModel,
    data: Dataset,
    features: Features | None = None,
    features_name: str = "",
    seed: int = 0,
    most: int = SAMPLES,
) -> dict[str, float | int | str]:
    """The distances of a model's samples from test images.

    A sample is the expected x of a z from the prior, without the noise of p(x|z).

    Args:
        model: whose samples are taken.
        data: whose test images are, evenly spaced, as many as samples.
        features: from data to vectors; None: the values of the data themselves.
        features_name: their name for a reader.
        seed: of the samples.
        most: how many samples at most.

    Returns:
        distance_samples, how many; distance_features, what is compared; frechet_distance and
        kernel_distance. Empty for a model without a prior or with conditions, and of one datum.
    """
    count = min(most, data.count("test"), _VALUES // model.data_dim)
    plain = isinstance(model, SingleGroup) and not model.context_shapes
    if not model.has_prior or not plain or count < 2:
        return {}
    if features is None:
        features, features_name = _flat, "pixels" if data.kind == "image" else "values"
    x = data.read("test", np.linspace(0, data.count("test") - 1, count).astype(int))
    vectors, samples = features(x), features(model.sample(count, seed=seed))
    finite = bool(np.isfinite(vectors).all() and np.isfinite(samples).all())
    return {
        "distance_samples": count,
        "distance_features": features_name,
        "frechet_distance": frechet_distance(vectors, samples) if finite else math.nan,
        "kernel_distance": kernel_distance(vectors, samples) if finite else math.nan,
    }


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def read_features(path: str | Path, data_shape: tuple[int, ...]) -> Features:
    """The output of a Keras model as features of data, its axes flattened.

    Args:
        path: a .keras file; nobody's code is run.
        data_shape: the shape of one datum, which its input must take.

    Raises:
        RunError: there is no such file, it is damaged or it needs code to load.
        DataError: it takes other data, or several inputs, or gives several outputs.
    """
    network = load_safely(path)
    shapes = [tuple(each.shape[1:]) for each in getattr(network, "inputs", None) or ()]
    fits = len(shapes) == 1 and len(shapes[0]) == len(data_shape)
    fits = fits and all(own in (None, s) for own, s in zip(shapes[0], data_shape, strict=True))
    if not fits or len(network.outputs) != 1:
        raise DataError(
            f"Expected {path} to take data of shape {data_shape} and to give one output, found "
            f"inputs of shape {' and '.join(map(str, shapes)) or 'unknown'} and "
            f"{len(getattr(network, 'outputs', None) or ())} outputs. Put what scales or repeats "
            "the pixels into the model, as keras.layers.Resizing or Concatenate do."
        )
    return lambda x: _flat(network.predict(x, batch_size=100, verbose=0))
