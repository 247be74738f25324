import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.data.arrays import from_arrays
from kelbo.data.binarization import BINARIZATIONS
from kelbo.data.dataset import Dataset
from kelbo.data.description import DataDescription
from kelbo.errors import UsageError
from kelbo.support import REAL, UNIT_INTERVAL

GREY = np.random.default_rng(0).random((30, 4, 5), dtype=np.float32)


class Stored:
    """Images that count how often they are read."""

    shape = (4, 5, 1)

    def __init__(self, images):
        self.images = images
        self.reads = 0

    def __len__(self):
        return len(self.images)

    def read(self, indices):
        self.reads += len(indices)
        return self.images[np.asarray(indices)]


def in_memory():
    return from_arrays(GREY[:23], GREY[23:], np.arange(23), np.arange(7))


def streamed():
    images = GREY[..., None]
    return Dataset("streamed", Stored(images[:23]), Stored(images[23:]))


@pytest.mark.parametrize("make", [in_memory, streamed])
def test_counts_and_shape(make):
    data = make()
    assert (data.count("train"), data.count("test")) == (23, 7)
    assert data.data_shape == (4, 5, 1)


@pytest.mark.parametrize("make", [in_memory, streamed])
@pytest.mark.parametrize("binarization", BINARIZATIONS)
@pytest.mark.parametrize("part", ["train", "test"])
def test_every_way_of_reading_sees_the_same_images(make, binarization, part):
    data = make().binarized(binarization, seed=5)
    count = data.count(part)
    whole = data.read(part, range(count))
    assert whole.shape == (count, 4, 5, 1) and whole.dtype == np.float32
    for batch_size in (1, 4, count, count + 9):
        batches = list(data.iterate(part, batch_size))
        assert all(len(batch) == batch_size for batch in batches[:-1])
        np.testing.assert_array_equal(np.concatenate(batches), whole)
    np.testing.assert_array_equal(data.head(part, 3)[0], whole[:3])
    np.testing.assert_array_equal(data.read(part, [2, 0]), whole[[2, 0]])
    np.testing.assert_array_equal(
        make().binarized(binarization, seed=5).read(part, [3]), whole[3:4]
    )


@pytest.mark.parametrize("make", [in_memory, streamed])
def test_binarisations_do_what_they_say(make):
    grey = GREY[:23, ..., None]
    np.testing.assert_array_equal(make().binarized("none").read("train", range(23)), grey)
    drawn = make().binarized("threshold").read("train", range(23))
    np.testing.assert_array_equal(drawn, grey >= 0.5)
    for binarization in ("static", "dynamic"):
        data = make().binarized(binarization, seed=1)
        drawn = data.read("train", range(23))
        assert set(np.unique(drawn)) == {0, 1}
        assert (drawn != (grey >= 0.5)).any()
        assert (make().binarized(binarization, seed=2).read("train", range(23)) != drawn).any()


@pytest.mark.parametrize("make", [in_memory, streamed])
@pytest.mark.parametrize("binarization", ["static", "dynamic"])
def test_fixed_draws_follow_the_grey_values(make, binarization):
    draws = [make().binarized(binarization, seed=s).read("test", range(7)) for s in range(400)]
    np.testing.assert_allclose(np.mean(draws, axis=0), GREY[23:, ..., None], atol=0.12)


def test_the_parts_are_drawn_apart():
    same = from_arrays(np.full((5, 8, 8), 0.5), np.full((5, 8, 8), 0.5)).binarized("static")
    assert (same.train != same.test).any()


def test_head_brings_the_labels_and_stops_at_the_end():
    data = in_memory()
    images, labels = data.head("test", 100)
    assert len(images) == 7 and labels.tolist() == list(range(7))
    assert streamed().head("test", 2)[1] is None


def test_head_reads_no_more_than_it_needs():
    data = streamed()
    data.head("train", 4)
    assert data.train.reads == 4


@given(count=st.integers(2, 40), batch_size=st.integers(1, 50))
def test_iterate_covers_everything_once(count, batch_size):
    pixels = np.arange(count, dtype=np.float32).reshape(-1, 1, 1) / 100
    data = from_arrays(pixels, pixels)
    batches = list(data.iterate("test", batch_size))
    assert len(batches) == -(-count // batch_size)
    np.testing.assert_array_equal(np.concatenate(batches).ravel(), pixels.ravel())


@pytest.mark.parametrize("binarization", BINARIZATIONS)
def test_arrays_are_at_hand_whole(binarization):
    data = in_memory().binarized(binarization)
    for part, images in (("train", data.train), ("test", data.test)):
        x, y, weight = data.batches(part, 8).arrays()
        assert x is images and y is weight is None
    assert streamed().binarized(binarization).batches("train", 8).arrays() is None


def test_the_test_part_of_a_dynamic_set_is_drawn_once():
    data = in_memory().binarized("dynamic")
    np.testing.assert_array_equal(np.concatenate(list(data.batches("test", 4))), data.test)
    assert set(np.unique(data.test)) == {0, 1}
    np.testing.assert_array_equal(data.train, GREY[:23, ..., None])


VECTORS = np.random.default_rng(0).normal(size=(23, 6))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (in_memory(), DataDescription((4, 5, 1), UNIT_INTERVAL, 23, 23, "image")),
        (streamed(), DataDescription((4, 5, 1), UNIT_INTERVAL, 23, None, "image")),
        (
            from_arrays(VECTORS, VECTORS, np.arange(23) % 3, label_names=("a", "b", "c", "d"),
                        kind="vector"),
            DataDescription((6,), REAL, 23, 4, "vector"),
        ),
    ],
    ids=["arrays", "files", "vectors"],
)  # fmt: skip
def test_the_description_says_what_a_model_may_know(data, expected):
    assert data.description == expected


def test_vectors_are_taken_as_they_are():
    data = from_arrays(VECTORS, kind="vector")
    assert (data.data_shape, data.count("train"), data.count("test")) == ((6,), 21, 2)
    whole = np.concatenate([data.train, data.test])
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(
        np.sort(whole, axis=None), np.sort(VECTORS.astype("float32"), axis=None)
    )
    seen = np.concatenate(list(data.batches("train", 4, shuffle=True)))
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(data.train, axis=0))
    with pytest.raises(UsageError, match="these are vectors"):
        data.binarized("dynamic")


def test_wrong_calls_are_refused():
    data = in_memory()
    with pytest.raises(UsageError, match="Did you mean 'train'"):
        data.count("trian")
    with pytest.raises(UsageError, match="at least 1 image"):
        data.batches("train", 0)
    with pytest.raises(UsageError, match="at least 1 image"):
        next(data.iterate("train", 0))
    with pytest.raises(UsageError, match="seed"):
        data.batches("train", 1, seed=-1)
    with pytest.raises(UsageError, match="binarised already"):
        data.binarized("static").binarized("dynamic")
    with pytest.raises(UsageError, match="no binarization 'fixed'"):
        data.binarized("fixed")
