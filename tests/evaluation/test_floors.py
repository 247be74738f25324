import numpy as np
import pytest
from PIL import Image

from kelbo.data import from_arrays, load
from kelbo.evaluation import floors
from kelbo.evaluation.floors import best_constant, pixel_entropy
from tests.support import SHAPE, randomise, tiny_ae, tiny_vae


def images(n, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE), "float32")


def cross_entropy(x, p):
    return -(x * np.log(p) + (1 - x) * np.log(1 - p))


@pytest.fixture
def model():
    model = tiny_vae()
    randomise(model)
    return model


@pytest.mark.parametrize("test_images", [9, 20, 50])
def test_the_best_constant_has_the_mean_of_the_training_images(model, test_images):
    train, test = images(20), images(test_images, seed=1)
    mean = (train.astype("float64").sum(axis=0) + 1) / 22
    expected = -cross_entropy(test, mean).sum(axis=(1, 2, 3))
    data = from_arrays(train, test)
    np.testing.assert_allclose(best_constant(model, data), expected, rtol=1e-5)
    np.testing.assert_allclose(best_constant(tiny_ae(), data), expected, rtol=1e-5)


def test_a_pixel_that_was_never_on_is_not_impossible(model):
    data = from_arrays(np.zeros((8, *SHAPE), bool), np.ones((3, *SHAPE), bool))
    np.testing.assert_allclose(best_constant(model, data), -6 * np.log(10), rtol=1e-5)


def test_a_normal_keeps_its_fixed_variance():
    train, test = images(20), images(9, seed=1)
    squares = (test - train.mean(axis=0)) ** 2
    expected = -0.5 * (squares + np.log(2 * np.pi)).sum(axis=(1, 2, 3))
    found = best_constant(tiny_vae("gaussian"), from_arrays(train, test))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_constant_that_depends_on_z_is_no_floor():
    model = tiny_vae("gaussian-per-pixel")
    randomise(model)
    assert best_constant(model, from_arrays(images(20), images(9))) is None


def test_of_many_images_so_many_are_held_at_once_as_there_is_room_for(model, monkeypatch):
    monkeypatch.setattr(floors, "_VALUES", 6 * 10)
    train, test = images(19), images(25, seed=1)
    mean = (train[::2].astype("float64").sum(axis=0) + 1) / 12
    expected = -cross_entropy(test, mean).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(best_constant(model, from_arrays(train, test)), expected, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_the_entropy_of_grey_pixels(model, batch_size):
    test = images(9)
    test[0, 0, :2, 0] = (0.0, 1.0)  # which have none
    each = cross_entropy(test[1:].astype("float64"), test[1:]).sum(axis=(1, 2, 3))
    found = pixel_entropy(model, from_arrays(test, test), batch_size)
    np.testing.assert_allclose(found[1:], -each, rtol=1e-6)
    rest = test[0, 1:].astype("float64")
    assert found[0] == pytest.approx(-cross_entropy(rest, rest).sum(), rel=1e-6)


def test_pixel_entropy_belongs_to_grey_bernoulli_data(model):
    grey = from_arrays(images(9))
    assert pixel_entropy(model, grey) is not None
    assert pixel_entropy(model, from_arrays(images(9) > 0.5)) is None
    assert pixel_entropy(tiny_vae("continuous-bernoulli"), grey) is None


def test_streamed_images_are_judged_as_images_in_memory(model, tmp_path):
    for index, image in enumerate(images(20)):
        Image.fromarray((image[..., 0] * 255).astype("uint8")).save(tmp_path / f"{index}.png")
    streamed = load(tmp_path)
    memory = from_arrays(streamed.read("train", range(18)), streamed.read("test", range(2)))
    for floor in (best_constant, pixel_entropy):
        np.testing.assert_allclose(floor(model, streamed), floor(model, memory), rtol=1e-6)
