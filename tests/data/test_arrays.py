import io
import os
import struct
import zipfile

import numpy as np
import pytest

from kelbo.data.arrays import from_arrays, load_arrays
from kelbo.errors import DataError
from kelbo.unpacking import check_size
from tests.support import little_memory


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 4, 5), dtype=np.uint8)


def scaled(pixels):
    return (pixels / np.float32(255))[..., None]


def test_all_four_arrays_come_back(tmp_path, pixels):
    path = tmp_path / "mine.npz"
    labels = np.arange(20) % 3
    np.savez(path, x_train=pixels[:15], x_test=pixels[15:], y_train=labels[:15], y_test=labels[15:])
    data = load_arrays(path)
    np.testing.assert_array_equal(data.train, scaled(pixels[:15]))
    np.testing.assert_array_equal(data.test, scaled(pixels[15:]))
    assert data.train_labels.tolist() == labels[:15].tolist()
    assert data.test_labels.tolist() == labels[15:].tolist()
    assert (data.name, data.source, data.data_shape) == ("mine", str(path), (4, 5, 1))


@pytest.mark.parametrize("name", ["one.npy", "one.npz"])
def test_one_array_is_split_in_a_tenth_for_test(tmp_path, pixels, name):
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, pixels)
    data = load_arrays(tmp_path / name, seed=3)
    assert (data.count("train"), data.count("test")) == (18, 2)
    both = np.concatenate([data.train, data.test])
    assert {image.tobytes() for image in both} == {image.tobytes() for image in scaled(pixels)}
    np.testing.assert_array_equal(load_arrays(tmp_path / name, seed=3).test, data.test)


def test_labels_follow_their_images_through_the_split(pixels):
    pixels[:, 0, 0] = np.arange(20)
    data = from_arrays(pixels, y_train=list(range(20)))
    for part in ("train", "test"):
        images, labels = data.head(part, 20)
        np.testing.assert_array_equal(np.rint(images[:, 0, 0, 0] * 255), labels)


def test_parts_that_do_not_fit_are_refused(pixels):
    with pytest.raises(DataError, match=r"\(4, 5, 1\) and \(5, 4, 1\)"):
        from_arrays(pixels, pixels.transpose(0, 2, 1))
    with pytest.raises(DataError, match="y_test without x_test"):
        from_arrays(pixels, y_test=np.zeros(20, int))
    with pytest.raises(DataError, match="y_train of shape"):
        from_arrays(pixels, y_train=np.zeros(19, int))


def test_the_error_names_the_file(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((9, 16)))
    with pytest.raises(DataError, match=r"flat\.npy.*reshape\(-1, 4, 4\)"):
        load_arrays(tmp_path / "flat.npy")


def test_other_names_are_listed(tmp_path):
    np.savez(tmp_path / "odd.npz", images=np.zeros(2), labels=np.zeros(2))
    with pytest.raises(DataError, match="found images, labels"):
        load_arrays(tmp_path / "odd.npz")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(DataError, match="found nothing"):
        load_arrays(tmp_path / "none.npz")


@pytest.mark.parametrize("name", ["objects.npy", "objects.npz"])
def test_pickled_objects_are_never_loaded(tmp_path, name):
    objects = np.array([np.zeros((2, 2)), np.zeros((3, 3))], dtype=object)
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, objects)
    with pytest.raises(DataError, match="Python objects.*np.stack"):
        load_arrays(tmp_path / name)


@pytest.mark.parametrize("name", ["cut.npy", "cut.npz"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_files_cut_short_are_refused(tmp_path, pixels, name, kept):
    path = tmp_path / name
    (np.save if name.endswith("npy") else np.savez_compressed)(path, pixels)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match="cut.*cannot be read"):
        load_arrays(path)


@pytest.mark.parametrize("content", [b"", b"hello, world"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "text.npy").write_bytes(content)
    with pytest.raises(DataError, match="not a NumPy file"):
        load_arrays(tmp_path / "text.npy")


def header(shape, version=1, length=None):
    """The start of an .npy file of bytes, with nothing behind it."""
    described = io.BytesIO()
    described.write(repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode())
    described.write(b"\n")
    content = described.getvalue()
    size = struct.pack("<H" if version == 1 else "<I", len(content) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + content


HOSTILE = {
    "a shape": (header((10**6, 10**6)), r"shape \(1000000, 1000000\) of uint8, 1,000,000,000,000"),
    "a negative shape": (header((-1, 4)) + bytes(8), r"shape \(-1, 4\)"),
    "a header": (header((2, 2), 2, 2**32 - 1), "header of 4,294,967,295 bytes"),
    "another version": (header((2, 2), 3) + bytes(4), r"version \(3, 0\)"),
}


@pytest.mark.parametrize("name", ["bomb.npy", "bomb.npz"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_an_array_that_declares_more_than_the_file_holds_is_not_read(tmp_path, name, kind):
    content, message = HOSTILE[kind]
    path = tmp_path / name
    if name.endswith("npy"):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x_train.npy", content)
            archive.writestr("noise.npy", os.urandom(10**4))
    with little_memory(), pytest.raises(DataError, match=f"{name} cannot be read.*{message}"):
        load_arrays(path)


def test_an_archive_that_unpacks_beyond_measure_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", header((2**16, 2**5, 2**5)) + bytes(2**26))
    with little_memory(), pytest.raises(DataError, match="entries would take 67,.* expected at m"):
        load_arrays(tmp_path / "bomb.npz")


def test_the_emptiest_images_are_read(tmp_path):
    """One white dot on black packs further than anything else that is worth learning."""
    images = np.zeros((20_000, 64, 64), bool)
    rows, columns = np.random.default_rng(0).integers(64, size=(2, len(images)))
    images[np.arange(len(images)), rows, columns] = True
    np.savez_compressed(tmp_path / "dots.npz", x_train=images)
    held = (tmp_path / "dots.npz").stat().st_size
    assert images.nbytes > 2**26 and images.nbytes / held > 500
    assert load_arrays(tmp_path / "dots.npz").count("train") == 18_000


def test_more_than_the_memory_of_the_machine_is_refused():
    with pytest.raises(ValueError, match="more than the .* bytes of memory of this machine"):
        check_size(2**60, 2**60, 1, "the array")
    check_size(2**20, 2**20, 1, "the array")
