import math
import threading
import time
import weakref

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.data.arrays import from_arrays
from kelbo.data.dataset import Dataset
from kelbo.errors import DataError, UsageError


class Stored:
    """Flat images whose pixel is their number; those in `broken` cannot be read."""

    shape = (2, 2, 1)

    def __init__(self, count, broken=()):
        self.count = count
        self.broken = broken

    def __len__(self):
        return self.count

    def read(self, indices):
        if set(indices) & set(self.broken):
            raise DataError("image 5 is gone")
        values = np.asarray(indices, dtype=np.float32)[:, None, None, None]
        return np.broadcast_to(values / 1000, (len(indices), 2, 2, 1))


def streamed(count=23, broken=()):
    return Dataset("streamed", Stored(count, broken), Stored(7))


def numbers(batch):
    return np.rint(np.asarray(batch)[:, 0, 0, 0] * 1000).astype(int).tolist()


def epoch(batches):
    return [number for batch in batches for number in numbers(batch)]


@given(
    count=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    shuffle=st.booleans(),
    ahead=st.integers(0, 4),
)
def test_an_epoch_holds_every_image_once_and_the_rest_comes_last(count, batch_size, shuffle, ahead):
    batches = streamed(count).batches("train", batch_size, shuffle=shuffle, ahead=ahead)
    sizes = [len(batch) for batch in batches]
    assert len(batches) == len(sizes) == math.ceil(count / batch_size)
    assert set(sizes[:-1]) <= {batch_size} and sum(sizes) == count
    assert sorted(epoch(batches)) == list(range(count))


def test_every_epoch_has_its_own_order_given_by_the_seed():
    def three_epochs(seed, ahead=2):
        batches = streamed().batches("train", 4, shuffle=True, seed=seed, ahead=ahead)
        result = []
        for _ in range(3):
            result.append(epoch(batches))
            batches.on_epoch_end()
        return result

    orders = three_epochs(seed=1)
    assert orders == three_epochs(seed=1) == three_epochs(seed=1, ahead=0)
    assert orders != three_epochs(seed=2)
    assert orders[0] != orders[1] != orders[2]


def test_without_shuffle_the_order_is_kept():
    batches = streamed().batches("train", 4)
    assert epoch(batches) == list(range(23))
    batches.on_epoch_end()
    assert epoch(batches) == list(range(23))


@given(calls=st.lists(st.integers(0, 5), max_size=12), ahead=st.integers(0, 3))
def test_a_batch_does_not_depend_on_the_calls_before_it(calls, ahead):
    data = from_arrays(np.full((23, 4, 4), 0.5)).binarized("dynamic")
    reference = list(data.batches("train", 4, shuffle=True, ahead=0))
    batches = data.batches("train", 4, shuffle=True, ahead=ahead)
    for index in calls:
        index = index % len(reference)
        np.testing.assert_array_equal(batches[index], reference[index])


def test_dynamic_draws_are_fresh_and_have_the_grey_mean():
    grey = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4)
    data = from_arrays(np.repeat(grey, 50, axis=0), grey).binarized("dynamic")
    batches = data.batches("train", 8)
    draws = []
    for _ in range(40):
        draws.append(np.concatenate(list(batches)))
        batches.on_epoch_end()
    assert (draws[0] != draws[1]).any()
    assert len(np.unique(draws[0].reshape(50, -1), axis=0)) > 40
    draws = np.concatenate(draws)
    assert set(np.unique(draws)) == {0, 1}
    # Four standard errors of the mean of 2000 draws.
    np.testing.assert_allclose(draws.mean(axis=0)[..., 0], grey[0], atol=2 / np.sqrt(2000))


def test_a_resumed_training_goes_on_as_if_it_had_not_stopped():
    data = from_arrays(np.full((23, 4, 4), 0.5)).binarized("dynamic")
    whole = data.batches("train", 4, shuffle=True, seed=3)
    for _ in range(2):
        whole.on_epoch_end()
    resumed = data.batches("train", 4, shuffle=True, seed=3, epoch=2)
    np.testing.assert_array_equal(np.concatenate(list(resumed)), np.concatenate(list(whole)))


@pytest.mark.parametrize("binarization", ["none", "threshold", "static", "dynamic"])
def test_the_order_of_an_array_is_that_of_files(binarization):
    """A function of the seed and the epoch, wherever the data lie and whoever draws besides."""
    images = np.random.default_rng(0).random((23, 2, 2, 1), "float32")

    class Files(Stored):
        def read(self, indices):
            return images[np.asarray(indices)]

    in_memory = from_arrays(images, images[:7])
    for epoch_number in range(2):
        np.random.seed(epoch_number)
        one, other = (
            data.binarized(binarization, seed=1).batches(
                "train", 4, shuffle=True, seed=3, epoch=epoch_number
            )
            for data in (in_memory, Dataset("files", Files(23), Files(7)))
        )
        np.testing.assert_array_equal(one.order(), other.order())
        if binarization != "static":  # in memory it is drawn in another way
            np.testing.assert_array_equal(np.concatenate(list(one)), np.concatenate(list(other)))


def test_an_array_is_cut_in_the_thread_that_asks():
    batches = from_arrays(np.zeros((8, 2, 2))).batches("train", 2)
    list(batches)
    assert "_threads" not in vars(batches)


@pytest.mark.parametrize("shuffle", [True, False])
def test_labels_come_with_their_images(shuffle):
    images = np.arange(23, dtype="float32")[:, None, None] / 1000
    data = from_arrays(images, images[:5], np.arange(23), np.arange(5))
    batches = data.batches("train", 4, shuffle=shuffle, fields=("x", "label"))
    seen = []
    for batch in batches:
        assert list(batch) == ["x", "label"]
        assert numbers(batch["x"]) == batch["label"].tolist()
        seen += batch["label"].tolist()
    assert sorted(seen) == list(range(23)) and (seen != sorted(seen)) == shuffle
    assert batches.arrays() is None


def test_fields_that_are_not_there_are_refused():
    data = from_arrays(np.zeros((8, 2, 2)))
    with pytest.raises(UsageError, match="no field 'label'.*Known: x"):
        data.batches("train", 4, fields=("x", "label"))


def test_streamed_test_images_are_drawn_once():
    data = streamed().binarized("dynamic")
    batches = data.batches("test", 3)
    first = np.concatenate(list(batches))
    batches.on_epoch_end()
    np.testing.assert_array_equal(np.concatenate(list(batches)), first)
    np.testing.assert_array_equal(np.concatenate(list(data.iterate("test", 2))), first)


def test_batches_ahead_are_prepared_in_other_threads():
    class Watched(Stored):
        def read(self, indices):
            self.threads.add(threading.current_thread())
            self.done.add(int(indices[0]) // 4)
            return super().read(indices)

    data = streamed()
    data.train.__class__ = Watched
    data.train.threads, data.train.done = set(), set()
    batches = data.batches("train", 4, ahead=2)
    batches[0]
    batches[1]
    batches[2]
    assert {0, 1, 2} <= data.train.done <= {0, 1, 2, 3, 4}
    assert threading.current_thread() not in data.train.threads


class Counted(Stored):
    """Counts the decoded images that are alive."""

    def __init__(self, count):
        super().__init__(count)
        self.lock = threading.Lock()
        self.alive = self.most = self.reads = 0

    def change(self, images):
        with self.lock:
            self.alive += images
            self.reads += max(images, 0)
            self.most = max(self.most, self.alive)

    def read(self, indices):
        images = np.array(super().read(indices))
        self.change(len(images))
        weakref.finalize(images, self.change, -len(images))
        return images


@pytest.mark.parametrize("count", [60, 600])
@pytest.mark.parametrize("ahead", [0, 2, 5])
def test_no_more_images_are_held_than_the_batches_ahead(count, ahead):
    images = Counted(count)
    batches = Dataset("counted", images, Stored(7)).batches("train", 4, shuffle=True, ahead=ahead)
    for _ in range(2):
        for index in range(len(batches)):
            batch = batches[index]
        batches.on_epoch_end()
    del batch
    until = time.monotonic() + 10  # a thread lets go of what it handed over a little later
    while images.alive and time.monotonic() < until:
        time.sleep(0.01)
    # Those ahead, the one that is asked for, the one before it, which the caller still has, and
    # one that a thread has handed over and is about to let go.
    assert images.most <= (ahead + 3) * 4
    assert images.reads == 2 * count and images.alive == 0


def test_a_training_holds_as_many_images_whatever_the_size_of_the_folder():
    most = []
    for count in (400, 1600):
        images = Counted(count)
        data = Dataset("counted", images, Stored(7))
        model = Mean()
        model.compile("sgd")
        model.fit(data.batches("train", 4, shuffle=True), shuffle=False, verbose=0)
        most.append(images.most)
    # Each backend has a buffer of a few batches of its own.
    assert max(most) <= 100


def test_batches_that_are_not_wanted_any_more_are_not_begun():
    class Blocked(Stored):
        def read(self, indices):
            reads.append(int(indices[0]))
            assert go_on.wait(60)
            return super().read(indices)

    go_on, reads = threading.Event(), []
    batches = Dataset("blocked", Blocked(40), Stored(7)).batches("train", 4, ahead=1)
    first = threading.Thread(target=lambda: batches[0])
    first.start()  # batch 0 is read, and batch 1 waits for the one thread
    until = time.monotonic() + 60
    while not reads and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    batches.on_epoch_end()
    go_on.set()
    first.join()
    batches[0]
    assert reads[:2] == [0, 0]


def test_indices_end_where_the_part_ends():
    batches = streamed().batches("train", 4)
    for index in (-1, 6):
        with pytest.raises(IndexError, match="among 6"):
            batches[index]


def test_negative_numbers_are_refused():
    with pytest.raises(UsageError, match="epoch"):
        streamed().batches("train", 4, epoch=-1)
    with pytest.raises(UsageError, match="ahead"):
        streamed().batches("train", 4, ahead=-1)


class Recorder(keras.Model):
    """Records the images that training steps are given; built only by `fit`."""

    def __init__(self):
        super().__init__()
        self.scale = keras.layers.Dense(1)
        self.epochs = []

    def call(self, x):
        return self.scale(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if training and not isinstance(x, keras.KerasTensor):
            self.epochs[-1].extend(numbers(keras.ops.convert_to_numpy(x)))
        return keras.ops.mean(keras.ops.square(y_pred))


def recorded(batches, epochs):
    model = Recorder()
    model.compile("sgd", run_eagerly=True, jit_compile=False)
    start = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: model.epochs.append([]))
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[start])
    return model.epochs


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX shows compute_loss no values")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on torch
def test_fit_sees_every_image_once_an_epoch_though_it_builds_the_model():
    data = streamed(60)
    epochs = recorded(data.batches("train", 4, shuffle=True), 3)
    assert [sorted(seen) for seen in epochs] == [list(range(60))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs == recorded(data.batches("train", 4, shuffle=True), 3)
    assert epochs[1:] == recorded(data.batches("train", 4, shuffle=True, epoch=1), 2)


class Mean(keras.Model):
    """Its loss is the mean pixel."""

    def __init__(self):
        super().__init__()
        self.scale = keras.layers.Dense(1)

    def call(self, x):
        return self.scale(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(x) + 0 * keras.ops.mean(y_pred)


def test_fit_and_evaluate_run_on_every_backend():
    data = streamed(24)
    model = Mean()
    model.compile("sgd")
    history = model.fit(
        data.batches("train", 4, shuffle=True),
        validation_data=data.batches("test", 7),
        epochs=2,
        shuffle=False,
        verbose=0,
    ).history
    np.testing.assert_allclose(history["loss"], [0.0115] * 2, rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], [0.003] * 2, rtol=1e-5)
