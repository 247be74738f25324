import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.data.idx import is_idx_folder, load_idx, read_idx
from kelbo.errors import DataError
from tests.support import little_memory

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array):
    kind = np.dtype(array.dtype)
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[kind.str[1:]], array.ndim, *array.shape)
    return header + array.astype(kind.newbyteorder(">")).tobytes()


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    kind=st.sampled_from(sorted(CODES)),
    zipped=st.booleans(),
)
def test_every_type_and_rank_comes_back(tmp_path_factory, shape, kind, zipped):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(kind)
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if zipped else "file")
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    result = read_idx(path)
    assert result.dtype == np.dtype(kind)
    np.testing.assert_array_equal(result, array)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 3, 4), dtype=np.uint8)


LABELS = (np.arange(20) % 10).astype(np.uint8)


@pytest.mark.parametrize("form", ["{}-idx{}-ubyte", "{}.idx{}-ubyte"])
@pytest.mark.parametrize("test", ["t10k", "test"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_is_read_under_all_its_names(tmp_path, pixels, form, test, zipped):
    for name, array in {
        form.format("train-images", 3): pixels[:16],
        form.format("train-labels", 1): LABELS[:16],
        form.format(f"{test}-images", 3): pixels[16:],
        form.format(f"{test}-labels", 1): LABELS[16:],
    }.items():
        content = gzip.compress(idx(array)) if zipped else idx(array)
        (tmp_path / (name + ".gz" * zipped)).write_bytes(content)
    assert is_idx_folder(tmp_path)
    data = load_idx(tmp_path)
    np.testing.assert_array_equal(data.train[..., 0], pixels[:16] / np.float32(255))
    np.testing.assert_array_equal(data.test[..., 0], pixels[16:] / np.float32(255))
    assert data.train_labels.tolist() == LABELS[:16].tolist()
    assert data.test_labels.tolist() == LABELS[16:].tolist()


def test_labels_and_test_files_are_optional(tmp_path, pixels):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pixels))
    data = load_idx(tmp_path)
    assert (data.count("train"), data.count("test"), data.train_labels) == (18, 2, None)


def test_training_images_are_needed_and_only_once(tmp_path, pixels):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(pixels))
    with pytest.raises(DataError, match="Expected training images.*found t10k"):
        load_idx(tmp_path)
    (tmp_path / "test-images-idx3-ubyte").write_bytes(idx(pixels))
    with pytest.raises(DataError, match="one file of each kind"):
        load_idx(tmp_path)


def test_the_error_names_the_folder(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 4, 4), "i4")))
    with pytest.raises(DataError, match=f"{tmp_path.name}.*astype"):
        load_idx(tmp_path)


def test_other_folders_are_no_idx_folders(tmp_path):
    (tmp_path / "train-images.png").touch()
    assert not is_idx_folder(tmp_path)


@given(kept=st.integers(0, 255))
def test_any_cut_is_noticed(tmp_path_factory, kept):
    content = idx(np.ones((3, 8, 10), np.uint8))
    path = tmp_path_factory.mktemp("idx") / "cut"
    path.write_bytes(content[:kept])
    assert kept < len(content)
    with pytest.raises(DataError):
        read_idx(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("long", idx(np.ones((2, 2), np.uint8)) + b"!", "promises 4 bytes.*found more than 4"),
        (
            "huge",
            struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3),
            "would take .* of 16 bytes",
        ),
        ("text", b"hello, world", "starts with 68 65 6c 6c"),
        ("nothing", b"", "starts with nothing"),
        ("plain.gz", idx(np.ones(4, np.uint8)), "cannot be read"),
        ("cut.gz", gzip.compress(idx(np.ones(100, np.uint8)))[:-9], "cannot be read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_idx(tmp_path / name)


def test_a_file_that_unpacks_beyond_measure_is_not_read(tmp_path):
    shape = (2**17, 32, 32)
    with gzip.open(tmp_path / "bomb.gz", "wb") as stream:
        stream.write(struct.pack(">HBB3I", 0, 8, 3, *shape))
        for _ in range(8):
            stream.write(bytes(2**24))
    with little_memory(), pytest.raises(DataError, match="would take 134,217,728 bytes, expected"):
        read_idx(tmp_path / "bomb.gz")


def test_only_as_much_is_unpacked_as_the_header_declares(tmp_path):
    content = idx(np.ones(4, np.uint8)) + bytes(2**22)
    (tmp_path / "long.gz").write_bytes(gzip.compress(content, 1))
    with little_memory(2**20), pytest.raises(DataError, match="found more than 4"):
        read_idx(tmp_path / "long.gz")
