"""Data sets: what a name, a file or a folder holds, as images with pixels in [0, 1]; or arrays.

    data = kelbo.data.load("mnist", binarization="dynamic")
    vae.fit(data.batches("train", 128, shuffle=True), shuffle=False)

Importing this package imports no backend: Keras comes in with the first `Dataset.batches` that
needs it and with the data sets that Keras downloads.
"""

from kelbo.data.arrays import from_arrays
from kelbo.data.binarization import BINARIZATIONS
from kelbo.data.cache import CachedImages
from kelbo.data.dataset import Dataset
from kelbo.data.description import DataDescription
from kelbo.data.folder import ImageFiles
from kelbo.data.load import NAMED, load
from kelbo.data.mnist import mnist

__all__ = [
    "BINARIZATIONS",
    "NAMED",
    "CachedImages",
    "DataDescription",
    "Dataset",
    "ImageFiles",
    "from_arrays",
    "load",
    "mnist",
]
