import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.data.checks import checked_images, checked_labels, checked_vectors, over_white
from kelbo.errors import DataError


@given(
    n=st.integers(1, 4),
    h=st.integers(1, 6),
    w=st.integers(1, 6),
    c=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_uint8_is_divided_by_255_and_comes_back(n, h, w, c, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, h, w, c), dtype=np.uint8)
    pixels.flat[0] = 255
    images = checked_images(pixels, "x")
    assert images.dtype == np.float32 and images.shape == (n, h, w, c)
    np.testing.assert_array_equal(np.rint(images * 255).astype(np.uint8), pixels)


def test_uint8_scale_is_exact_at_every_value():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    expected = (np.arange(256) / np.float32(255)).astype(np.float32).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(checked_images(pixels, "x"), expected)


def test_bool_is_0_and_1():
    pixels = np.array([[[True, False], [False, True]]])
    np.testing.assert_array_equal(checked_images(pixels, "x")[0, ..., 0], [[1, 0], [0, 1]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_in_range_are_kept(dtype):
    pixels = np.array([0, 0.25, 0.5, 1], dtype).reshape(1, 2, 2)
    images = checked_images(pixels, "x")
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images.ravel(), [0, 0.25, 0.5, 1])


def test_the_given_array_is_not_changed():
    pixels = np.full((1, 2, 2), 1 + 5e-7)
    assert checked_images(pixels, "x").max() == 1
    assert pixels.max() == 1 + 5e-7


def test_alpha_is_laid_over_white():
    rgba = np.zeros((1, 1, 3, 4), dtype=np.uint8)
    rgba[0, 0, :, 3] = 0, 255, 51
    expected = [[1, 1, 1], [0, 0, 0], [0.8, 0.8, 0.8]]
    np.testing.assert_allclose(checked_images(rgba, "x")[0, 0], expected, rtol=1e-6)
    assert over_white(np.ones((2, 3, 4))).shape == (2, 3, 3)


def image(value, dtype, shape=(2, 4, 4)):
    pixels = np.zeros(shape, dtype=dtype)
    pixels.flat[0] = value
    return pixels


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (image(255, np.float32), "x / 255"),
        (image(-1, np.float32), "(x + 1) / 2"),
        (image(-2.5, np.float32), "standardised"),
        (image(1000, np.float64), "x / maximum"),
        (image(200, np.int64), "x.astype('uint8')"),
        (image(1, np.int64), "x.astype(bool)"),
        (image(1, np.uint8), "x.astype(bool)"),
        (image(40000, np.uint16), "x / 65535"),
        (image(-3, np.int32), "floats in [0, 1]"),
        (image(1, np.complex64), "complex64"),
        (np.full((2, 4, 4), "a"), "<U1"),
        (np.full((2, 4, 4), None), "object"),
        (np.zeros((2, 784)), "x.reshape(-1, 28, 28)"),
        (np.zeros((2, 785)), "x.reshape(-1, height, width, channels)"),
        (np.zeros((2, 785)), 'kind="vector"'),
        (np.zeros((8, 8)), "One image: x[None]"),
        (np.zeros(5), "shape (5,)"),
        (np.zeros((2, 2, 2, 2, 2)), "shape (2, 2, 2, 2, 2)"),
        (np.zeros((5, 3, 8, 8)), "x.transpose(0, 2, 3, 1)"),
        (np.zeros((5, 8, 8, 2)), "1, 3 or 4 channels"),
        (np.zeros((8, 8, 3)), "one colour image"),
        (np.zeros((0, 8, 8)), "empty"),
        (np.zeros((2, 0, 8)), "empty"),
    ],
)
def test_what_is_no_image_is_refused_with_the_cure(array, words):
    with pytest.raises(DataError) as caught:
        checked_images(array, "x")
    assert words in str(caught.value)


def checked_labels_of_two(data, name):
    return checked_labels(data, 2, name)


class Sparse:
    def toarray(self):
        return np.zeros((2, 4, 4))


class OnDevice:
    """A tensor of PyTorch's kind, of which NumPy makes nothing before it is detached."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def cpu(self):
        return self.values


@pytest.mark.parametrize("checked", [checked_images, checked_vectors, checked_labels_of_two])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Sparse(), "x.toarray()"),
        ({"x": np.zeros((2, 4, 4))}, "received a dict of x"),
        ([np.zeros((4, 4)), np.zeros((5, 5))], "np.stack"),
        (object(), "builtins.object"),
    ],
)
def test_what_is_no_array_is_refused_with_the_cure(checked, data, words):
    with pytest.raises(DataError) as caught:
        checked(data, "x")
    assert words in str(caught.value)


def test_tensors_and_lists_are_taken():
    x = np.random.default_rng(0).random((2, 4, 4)).astype("float32")
    for data in (OnDevice(x), x.tolist()):
        np.testing.assert_array_equal(checked_images(data, "x")[..., 0], x)


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.zeros(4), "One vector: x[None]"),
        (np.zeros((2, 3, 4)), "shape (2, 3, 4)"),
        (np.zeros((0, 4)), "shape (0, 4)"),
        (np.full((2, 3), np.nan), "6 NaN and 0 infinite"),
        (np.full((2, 3), "a"), "<U1"),
        (np.zeros((2, 3), complex), "real numbers"),
    ],
)
def test_what_is_no_vector_is_refused(vectors, words):
    with pytest.raises(DataError) as caught:
        checked_vectors(vectors, "x")
    assert words in str(caught.value)


def test_nan_and_infinity_are_counted_and_the_cure_works():
    x = np.zeros((5, 2, 2))
    x[2, 0, 0] = x[2, 1, 1] = np.nan
    x[4, 0, 1] = -np.inf
    with pytest.raises(DataError, match=r"2 NaN and 1 infinite .* 2 of its 5 rows.* is x\[2\]"):
        checked_images(x, "x")
    assert len(checked_images(x[np.isfinite(x).reshape(len(x), -1).all(axis=1)], "x")) == 3


def test_labels_of_a_column_become_flat():
    labels = checked_labels(np.array([[3], [1]], dtype=np.uint8), 2, "y")
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 1]
    assert checked_labels(None, 2, "y") is None


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(3, int), "each of the 2 data"),
        (np.eye(2, dtype=int), "y.argmax(axis=1)"),
        (np.eye(3, dtype=int), "shape (3, 3)"),
        (np.zeros(2), "float64"),
        (np.array(["cat", "dog"]), "np.unique"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, words):
    with pytest.raises(DataError) as caught:
        checked_labels(labels, 2, "y")
    assert words in str(caught.value)
