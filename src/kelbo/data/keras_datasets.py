"""The image sets that Keras downloads by itself: fashion_mnist, cifar10, cifar100."""

import contextlib
import importlib
import sys

import numpy as np

from kelbo.backends.choice import choose
from kelbo.data.arrays import from_arrays
from kelbo.data.dataset import Dataset
from kelbo.errors import DataError

# Name -> licence or origin, and the names of the labels where they are few.
KERAS_DATASETS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "fashion_mnist": (
        "MIT (Zalando SE: Fashion-MNIST)",
        (
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
    "cifar10": (
        "no licence stated (A. Krizhevsky, 2009: Learning multiple layers of features)",
        (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
    ),
    "cifar100": (
        "no licence stated (A. Krizhevsky, 2009: Learning multiple layers of features)",
        None,
    ),
}


def load_keras_dataset(name: str) -> Dataset:
    """Load one of `KERAS_DATASETS`; Keras downloads it at the first time and keeps it.

    Raises:
        DataError: the download failed.
    """
    choose()
    module = importlib.import_module(f"keras.datasets.{name}")
    try:
        # Keras reports its download on stdout, which belongs to the results.
        with contextlib.redirect_stdout(sys.stderr):
            (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:  # Keras raises a bare Exception for whatever the network does.
        raise DataError(
            f"Keras could not download the data set {name} ({error}). It needs the network once; "
            "without one use mnist, which comes with kelbo, or a file or folder of your own."
        ) from error
    licence, label_names = KERAS_DATASETS[name]
    return from_arrays(
        _channels_last(x_train),
        _channels_last(x_test),
        y_train,
        y_test,
        name=name,
        source=f"keras.datasets.{name}",
        licence=licence,
        label_names=label_names,
    )


def _channels_last(images: np.ndarray) -> np.ndarray:
    """Undo what `keras.config.set_image_data_format("channels_first")` does to colour images."""
    if images.ndim == 4 and images.shape[1] == 3:
        return images.transpose(0, 2, 3, 1)
    return images
