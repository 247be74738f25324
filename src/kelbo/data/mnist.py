"""MNIST, which comes with kelbo (MNIST-LICENSE.md): 60,000 and 10,000 digits of 28 x 28 pixels."""

from importlib.resources import as_file, files

import numpy as np

from kelbo.data.checks import checked_images
from kelbo.data.dataset import Dataset

Split = tuple[np.ndarray, np.ndarray]


def mnist() -> tuple[Split, Split]:
    """MNIST as `(x_train, y_train), (x_test, y_test)`; needs no network and no backend.

    Returns:
        Images as float32 (n, 28, 28, 1) in [0, 1] and labels 0..9 as int64 (n,), for the
        n = 60,000 training and the n = 10,000 test images.
    """
    with as_file(files("kelbo.data") / "mnist.npz") as path, np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}

    def split(part: str) -> Split:
        labels = arrays[f"y_{part}"].astype(np.int64)
        return checked_images(arrays[f"x_{part}"], f"x_{part}"), labels

    return split("train"), split("test")


def load_mnist() -> Dataset:
    """MNIST as a `Dataset`."""
    (x_train, y_train), (x_test, y_test) = mnist()
    return Dataset(
        name="mnist",
        train=x_train,
        test=x_test,
        train_labels=y_train,
        test_labels=y_test,
        label_names=tuple("0123456789"),
        source="embedded in kelbo (Y. LeCun, C. Cortes, C. J. C. Burges: the MNIST database)",
        licence="CC BY-SA 3.0",
    )
