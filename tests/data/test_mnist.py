import hashlib
import struct

import numpy as np
import pytest

from kelbo.data.mnist import load_mnist, mnist


@pytest.fixture(scope="module")
def arrays():
    return mnist()


@pytest.mark.parametrize(
    ("part", "md5"),
    [(0, "6bbc9ace898e44ae57da46a324031adb"), (1, "2646ac647ad5339dbf082846283269ea")],
)
def test_every_pixel_is_that_of_the_original_files(arrays, part, md5):
    images, _ = arrays[part]
    assert images.dtype == np.float32
    header = struct.pack(">IIII", 2051, len(images), 28, 28)
    pixels = np.rint(images * 255).astype(np.uint8)
    assert hashlib.md5(header + pixels.tobytes()).hexdigest() == md5


def test_labels_are_those_of_mnist(arrays):
    (_, train), (_, test) = arrays
    assert train.dtype == test.dtype == np.int64
    assert train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_the_data_set_says_what_it_is():
    data = load_mnist()
    assert (data.count("train"), data.count("test")) == (60_000, 10_000)
    assert data.data_shape == (28, 28, 1)
    assert data.licence == "CC BY-SA 3.0"
    assert data.label_names[7] == "7"
