import numpy as np
import pytest
from PIL import Image

from kelbo.data import from_arrays, load
from kelbo.evaluation.floors import independent_pixels, pixel_entropy


def images(n, seed=0):
    return np.random.default_rng(seed).random((n, 3, 4), "float32")


def cross_entropy(x, p):
    return -(x * np.log(p) + (1 - x) * np.log(1 - p))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_independent_pixels_have_the_mean_of_the_training_images(batch_size):
    train, test = images(20), images(9, seed=1)
    mean = (train.astype("float64").sum(axis=0) + 1) / 22
    expected = cross_entropy(test, mean).sum(axis=(1, 2)).mean()
    floor = independent_pixels(from_arrays(train, test), batch_size)
    assert floor == pytest.approx(expected, rel=1e-9)


def test_a_pixel_that_was_never_on_is_not_impossible():
    data = from_arrays(np.zeros((8, 2, 2), bool), np.ones((3, 2, 2), bool))
    assert independent_pixels(data) == pytest.approx(4 * np.log(10))


@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_the_entropy_of_grey_pixels(batch_size):
    test = images(9)
    test[0, 0, :2] = (0.0, 1.0)  # which have none
    inside = test[(test > 0) & (test < 1)].astype("float64")
    expected = cross_entropy(inside, inside).sum() / 9
    assert pixel_entropy(from_arrays(test, test), batch_size) == pytest.approx(expected, rel=1e-9)


def test_black_and_white_has_no_entropy():
    assert pixel_entropy(from_arrays(images(9) > 0.5)) == 0.0


def test_streamed_images_are_judged_as_images_in_memory(tmp_path):
    for index, image in enumerate(images(20)):
        Image.fromarray((image * 255).astype("uint8")).save(tmp_path / f"{index}.png")
    streamed = load(tmp_path)
    memory = from_arrays(streamed.read("train", range(18)), streamed.read("test", range(2)))
    assert independent_pixels(streamed) == pytest.approx(independent_pixels(memory), rel=1e-9)
    assert pixel_entropy(streamed) == pytest.approx(pixel_entropy(memory), rel=1e-9)
