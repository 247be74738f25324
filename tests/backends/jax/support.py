"""Data of every kind, models compiled alike, and the comparison of both ways to train them."""

import keras
import numpy as np
import pytest

from kelbo.data import CachedImages, Dataset, from_arrays
from kelbo.data.stream import Batches
from tests.support import data, randomise, tiny_vae, to_numpy, weights

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="there is one way elsewhere")

X = data(10)
BYTES = np.random.default_rng(3).integers(0, 256, (23, 3, 2, 1))
KINDS = {
    "grey": data(23),
    "double": data(23).astype("float64"),
    "bytes": BYTES.astype("float32") / np.float32(255),
    "inverse": BYTES.astype("float32") * np.float32(1 / 255),
    "binary": (BYTES > 99).astype("float32"),
    "bool": BYTES > 99,
}


def compiled(make=tiny_vae, optimizer=None, steps_per_execution=1, **options):
    keras.utils.set_random_seed(5)
    model = make(**options)
    randomise(model)
    optimizer = optimizer or keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.9)
    )
    model.compile(optimizer, steps_per_execution=steps_per_execution)
    return model


def assert_same(one, other, history, expected):
    """Two trained models and their histories."""
    assert history.epoch == expected.epoch
    assert list(history.history) == list(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=2e-5, err_msg=name)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(one.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-4, atol=1e-6)
    state, expected_state = one.seed_generator.state, other.seed_generator.state
    np.testing.assert_array_equal(to_numpy(state), to_numpy(expected_state))


def both_ways(x, make=compiled, **arguments):
    """Train twice alike but for the way, and compare."""
    trained = []
    for resident in (True, False):
        model = make()
        options = {key: value() if callable(value) else value for key, value in arguments.items()}
        history = model.fit(x, verbose=0, resident=resident, **options)
        trained.append((model, history))
    (one, history), (other, expected) = trained
    assert_same(one, other, history, expected)
    return one, history


class Own(keras.utils.PyDataset):
    """A data set of the user's own."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return -(-len(self.x) // 4)

    def __getitem__(self, index):
        return (self.x[4 * index : 4 * index + 4],)


def stream(kind=Batches, **options):
    images = from_arrays(data(11), data(3)).binarized("dynamic")
    return kind(images.batches("train", 4).data, 4, **options)


def cached(binarization="none"):
    """The bytes above as a cache holds them: both parts in one array, in an order of its own."""
    pixels = BYTES[np.random.default_rng(1).permutation(23)].astype("uint8")
    train, test = CachedImages(pixels, np.arange(20)[::-1]), CachedImages(pixels, np.arange(20, 23))
    return Dataset("cached", train, test).binarized(binarization, seed=3)


class Device:
    """Tells what memory it has."""

    def __init__(self, statistics):
        self.memory_stats = lambda: statistics
