import logging
import os

import numpy as np
import pytest
from PIL import Image

from kelbo.data.folder import find_images, load_folder
from kelbo.errors import DataError


def save(path, value=0, size=(4, 6), mode="L"):
    """A flat image of (height, width) whose pixels tell it apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size[::-1], value if mode == "L" else (value,) * 3).save(path)


def values(part):
    return np.rint(part.read(range(len(part)))[:, 0, 0, 0] * 255).astype(int).tolist()


@pytest.fixture
def classes(tmp_path):
    """Twenty images in two classes, the second one nested; pixel = 10 * class + number."""
    for i in range(10):
        save(tmp_path / "cat" / f"{i}.png", i)
        save(tmp_path / "dog" / "deep" / f"{i}.PNG", 10 + i)
    return tmp_path


def test_a_folder_is_split_and_labelled(classes):
    data = load_folder(classes)
    assert (data.count("train"), data.count("test")) == (18, 2)
    assert sorted(values(data.train) + values(data.test)) == list(range(20))
    assert data.label_names == ("cat", "dog")
    for part in ("train", "test"):
        labels = data.labels(part)
        assert labels.tolist() == [value // 10 for value in values(getattr(data, part))]
    assert data.data_shape == (4, 6, 1)
    assert data.name == classes.name


def test_the_seed_gives_the_split_and_the_order(classes):
    first, again, other = (load_folder(classes, seed=seed) for seed in (0, 0, 1))
    assert first.train.paths == again.train.paths and first.test.paths == again.test.paths
    assert first.train.paths != other.train.paths


def test_train_and_test_folders_are_honoured(tmp_path):
    for i in range(6):
        save(tmp_path / "train" / "ab"[i % 2] / f"{i}.png", i)
    save(tmp_path / "test" / "c" / "9.png", 9)
    save(tmp_path / "other" / "7.png", 7)
    data = load_folder(tmp_path)
    assert sorted(values(data.train)) == [0, 1, 2, 3, 4, 5]
    assert values(data.test) == [9]
    assert data.label_names == ("a", "b", "c")
    assert data.train_labels.tolist() == [value % 2 for value in values(data.train)]
    assert data.test_labels.tolist() == [2]


def test_an_image_outside_the_subfolders_means_no_labels(classes):
    save(classes / "loose.png", 99)
    data = load_folder(classes)
    assert data.train_labels is data.test_labels is data.label_names is None


def test_limits_keep_the_first_images_of_the_whole_order(classes):
    whole, few = load_folder(classes), load_folder(classes, train_limit=5, test_limit=1)
    assert few.train.paths == whole.train.paths[:5]
    assert few.test.paths == whole.test.paths[:1]
    np.testing.assert_array_equal(few.train_labels, whole.train_labels[:5])


def test_hidden_and_other_files_are_counted(classes, caplog):
    (classes / "notes.txt").touch()
    save(classes / "cat" / ".hidden.png")
    save(classes / ".cache" / "thumbnail.png")
    with caplog.at_level(logging.INFO, "kelbo"):
        assert len(find_images(classes)) == 20
    assert "2 files" in caplog.text


def test_suffixes_in_any_case(tmp_path):
    for name in ("a.png", "b.PNG", "c.jpg", "d.JPEG", "e.Jpg"):
        save(tmp_path / name)
    assert [os.path.basename(path) for path in find_images(tmp_path)] == [
        "a.png",
        "b.PNG",
        "c.jpg",
        "d.JPEG",
        "e.Jpg",
    ]


def test_links_are_followed_and_loops_are_harmless(classes, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(elsewhere / "far.png", 77)
    (classes / "bird").symlink_to(elsewhere)
    (classes / "cat" / "up").symlink_to(classes)
    (classes / "cat" / "gone.png").symlink_to(classes / "nothing.png")
    paths = find_images(classes)
    assert len(paths) == 21
    assert str(classes / "bird" / "far.png") in paths


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="found none among 1 files"):
        load_folder(tmp_path)


def test_images_of_other_formats_are_named(classes, caplog):
    for name in ("a.webp", "b.WEBP", "c.gif", "notes.txt", ".hidden.tiff"):
        (classes / "cat" / name).touch()
    assert len(find_images(classes)) == 20
    (warning,) = caplog.messages
    assert f"{classes}: 3 images are left out" in warning
    assert "PNG and JPEG, and these are 2 .webp, 1 .gif. Convert them" in warning


def test_a_folder_of_other_formats_says_so(tmp_path):
    (tmp_path / "a.tiff").touch()
    with pytest.raises(DataError, match=r"none among 1 files: .* these are 1 \.tiff"):
        load_folder(tmp_path)


def test_several_sizes_are_refused_with_an_example_of_each(classes):
    save(classes / "cat" / "big.png", size=(8, 5))
    with pytest.raises(DataError) as caught:
        load_folder(classes)
    for words in ("4 x 6", "8 x 5", "big.png", "--image-size"):
        assert words in str(caught.value)
    data = load_folder(classes, image_size=(3, 3))
    assert data.data_shape == (3, 3, 1)
    assert data.train.read(range(len(data.train))).shape == (len(data.train), 3, 3, 1)


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_one_image_in_colour_makes_all_colour_unless_told(classes, caplog, channels):
    save(classes / "cat" / "colour.png", 50, mode="RGB")
    data = load_folder(classes, channels=channels)
    assert data.data_shape[-1] == (channels or 3)
    assert sorted(values(data.train) + values(data.test)) == [*range(20), 50]
    assert ("1 of 21 images are in colour" in caplog.text) == (channels is None)


def test_damaged_files_are_left_out_by_name(classes, caplog):
    broken = classes / "cat" / "broken.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8)).save(broken)
    broken.write_bytes(broken.read_bytes()[:-30])
    (classes / "dog" / "empty.jpg").touch()
    # A limit of everything visits all files, wherever the split has put the broken ones.
    data = load_folder(classes)
    assert data.count("train") + data.count("test") == 20
    assert sorted(values(data.train) + values(data.test)) == list(range(20))
    assert "broken.png" in caplog.text and "empty.jpg" in caplog.text
    with pytest.raises(DataError, match="(broken.png|empty.jpg) cannot be read"):
        load_folder(classes, strict=True)


def test_a_limit_is_filled_up_past_damaged_files(classes, caplog):
    order = load_folder(classes).train.paths
    with open(order[1], "wb"):
        pass
    few = load_folder(classes, train_limit=3)
    assert few.train.paths == (order[0], order[2], order[3])
    assert "1 of 4 images" in caplog.text


def test_many_damaged_files_make_one_short_warning(classes, caplog):
    for i in range(60):
        (classes / f"{i}.png").touch()
    load_folder(classes)
    assert all(message.count(".png (") == 5 for message in caplog.messages)
    assert "more." in caplog.text


def test_nothing_but_damaged_files_is_an_error(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.png").touch()
    with pytest.raises(DataError, match="None of 2 images can be read"):
        load_folder(tmp_path)


def test_a_file_that_changes_later_is_named(classes):
    data = load_folder(classes)
    path = data.train.paths[0]
    Image.new("L", (2, 2)).save(path)
    with pytest.raises(DataError, match=r"\.(png|PNG) has become 2 x 2"):
        data.train.read([0])
    with open(path, "wb"):
        pass
    with pytest.raises(DataError, match=r"could be read .* Restore"):
        data.train.read([0])


def test_no_pixels_are_kept(classes):
    data = load_folder(classes)
    assert data.train.shape == (4, 6, 1)
    assert not any(isinstance(value, np.ndarray) for value in vars(data.train).values())
