import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from kelbo.data.binarization import BINARIZATIONS
from kelbo.data.folder import ImageFiles
from kelbo.data.load import NAMED, load
from kelbo.errors import DataError, UsageError


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (40, 6, 8, 3), dtype=np.uint8)


@pytest.fixture
def array(tmp_path, pixels):
    np.save(tmp_path / "mine.npy", pixels)
    return tmp_path / "mine.npy"


@pytest.fixture
def images(tmp_path, pixels):
    folder = tmp_path / "images"
    for i, image in enumerate(pixels):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "ab"[i % 2] / f"{i:02}.png")
    return folder


def test_mnist_by_name():
    data = load("mnist", train_limit=50, test_limit=20, binarization="static")
    assert (data.count("train"), data.count("test")) == (50, 20)
    assert len(data.train_labels) == 50 and len(data.test_labels) == 20
    assert set(np.unique(data.train)) == {0, 1}


def test_the_named_sets_are_known():
    assert set(NAMED) == {"mnist", "fashion_mnist", "cifar10", "cifar100"}


def test_a_file_and_a_folder_by_path(array, images):
    for data in (load(array), load(str(images))):
        assert (data.count("train"), data.count("test")) == (36, 4)
        assert data.data_shape == (6, 8, 3)
    assert isinstance(load(images).train, ImageFiles)


def test_idx_files_make_a_folder_an_idx_folder(tmp_path):
    header = bytes([0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 2])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header + bytes(range(0, 200, 5)))
    data = load(tmp_path, channels=3)
    assert data.count("train") == 9 and data.data_shape == (2, 2, 3)


@pytest.mark.parametrize("kind", ["array", "images"])
def test_size_channels_and_limits_hold_for_every_source(kind, request):
    data = load(
        request.getfixturevalue(kind), image_size=(4, 5), channels=1, train_limit=7, test_limit=2
    )
    assert data.data_shape == (4, 5, 1)
    assert data.read("train", range(7)).shape == (7, 4, 5, 1)
    assert (data.count("train"), data.count("test")) == (7, 2)


def test_a_file_and_a_folder_of_the_same_images_agree(array, images):
    options = {"image_size": (3, 4), "channels": 1}
    of_array = load(array, **options)
    of_folder = load(images, **options)
    together = [
        np.sort(np.concatenate([d.head("train", 99)[0], d.head("test", 99)[0]]).ravel())
        for d in (of_array, of_folder)
    ]
    # Pillow rounds image files to 8 bits after each step.
    np.testing.assert_allclose(*together, atol=3 / 255)


@pytest.mark.parametrize("binarization", BINARIZATIONS)
@pytest.mark.parametrize("kind", ["array", "images"])
def test_the_seed_decides_everything(kind, binarization, request):
    source = request.getfixturevalue(kind)
    first, again, other = (load(source, binarization=binarization, seed=s) for s in (1, 1, 2))
    for part in ("train", "test"):
        np.testing.assert_array_equal(first.head(part, 9)[0], again.head(part, 9)[0])
        assert (first.head(part, 4)[0] != other.head(part, 4)[0]).any()
    assert first.binarization == binarization


def test_a_path_beats_a_name_when_it_says_so(tmp_path, pixels, monkeypatch):
    (tmp_path / "mnist").mkdir()
    for i in range(4):
        Image.fromarray(pixels[i]).save(tmp_path / "mnist" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    for source in ("./mnist", pathlib.Path("mnist")):
        assert load(source).data_shape == (6, 8, 3)


def test_an_unknown_name_gets_the_nearest_and_the_advice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        load("fashion-mnist")
    assert "Did you mean 'fashion_mnist'?" in str(caught.value)
    assert os.path.join(tmp_path, "fashion-mnist") in str(caught.value)


@pytest.mark.parametrize("source", ["no/such/folder", "missing.npz", pathlib.Path("mnist")])
def test_a_missing_path_is_named(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="There is no file or folder"):
        load(source)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "table.csv").touch()
    with pytest.raises(DataError, match="Expected an .npz or .npy file or a folder"):
        load(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"binarization": "dynamc"}, "Did you mean 'dynamic'"),
        ({"seed": -1}, "-1"),
        ({"image_size": (0, 4)}, "image size"),
        ({"image_size": (4,)}, "image size"),
        ({"image_size": 64}, r"as \(64, 64\), not 64"),
        ({"image_size": (4.5, 4)}, "whole numbers"),
        ({"channels": 2}, "1 channel"),
        ({"train_limit": 0}, "limit"),
        ({"test_limit": -5}, "limit"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(options, words):
    with pytest.raises(UsageError, match=words):
        load("no such set", **options)
