"""Data are checked batch by batch, wherever they come from."""

import functools
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from kelbo.checked import Checking
from kelbo.data.arrays import from_arrays
from kelbo.errors import DataError

BACKEND = keras.backend.backend()
GOOD = np.linspace(0.0, 1.0, 32, dtype="float32").reshape(16, 2)
BAD = np.concatenate([GOOD[:12], 255.0 * GOOD[12:]])  # wrong in the last of four batches


def check(x, y, sample_weight):
    for values in (x, y):
        if values is not None and not (values.min() >= 0.0 and values.max() <= 1.0):
            raise DataError(f"{type(values).__name__}s up to {values.max():g}")


class Mean(keras.Model):
    """Its loss is the weighted mean of x; it records nothing and learns nothing."""

    def __init__(self):
        super().__init__()
        self.scale = keras.layers.Dense(1)

    def call(self, x):
        return self.scale(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = keras.ops.mean(x, axis=-1)
        if sample_weight is not None:
            loss = loss * sample_weight
        return keras.ops.mean(loss) + 0 * keras.ops.sum(y_pred)


class Batches(keras.utils.PyDataset):
    """Batches of four from arrays of equal length; counts its epochs."""

    def __init__(self, *arrays, **options):
        super().__init__(**options)
        self.arrays = arrays
        self.begun = self.ended = 0

    def __len__(self):
        return len(self.arrays[0]) // 4

    def __getitem__(self, index):
        return tuple(array[4 * index : 4 * index + 4] for array in self.arrays)

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


class Unending(Batches):
    """Says of no number that it is its length."""

    num_batches = None

    def __getitem__(self, index):
        return super().__getitem__(index % len(self))


def generator(*arrays):
    yield from Batches(*arrays)


def tf_data(*arrays):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays).batch(4)


def tf_data_of_one(x, *_):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(x).batch(4)


def loader(*arrays, **options):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(*map(torch.tensor, arrays)), batch_size=4, **options)


def processes(*arrays):
    return Batches(*arrays, workers=1, use_multiprocessing=True)


needs_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="no TensorFlow")
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="no PyTorch")
PAIRS = [
    generator,
    Batches,
    pytest.param(lambda *arrays: Batches(*arrays, workers=2), id="two workers"),
    pytest.param(Unending, id="unending"),
    pytest.param(tf_data, marks=needs_tensorflow),
    pytest.param(loader, marks=needs_torch),
]
KINDS = [*PAIRS, pytest.param(tf_data_of_one, marks=needs_tensorflow)]


def fit(model, data, checking, **options):
    options = {"shuffle": False, "verbose": 0, "steps_per_epoch": 4} | options
    return model.fit(checking.data(data), **options)


METHODS = {
    "fit": fit,
    "evaluate": lambda model, data, checking: model.evaluate(
        checking.data(data), steps=4, verbose=0
    ),
    "predict": lambda model, data, checking: model.predict(checking.data(data), steps=4, verbose=0),
    "validation": lambda model, data, checking: model.fit(
        GOOD, validation_data=checking.data(data), validation_steps=4, verbose=0
    ),
}


@functools.cache
def compiled():
    model = Mean()
    # The data alone are tried. On TensorFlow they go another way in compiled steps.
    model.compile("sgd", run_eagerly=BACKEND != "tensorflow", jit_compile=False)
    model.fit(GOOD, verbose=0)
    return model


@pytest.fixture
def model():
    if BACKEND != "tensorflow":
        # Keras on JAX takes the weights out of a model, and loses them where data raise.
        compiled.cache_clear()
    return compiled()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", KINDS)
def test_what_is_wrong_in_a_later_batch_ends_in_kelbos_error(model, make, method):
    with pytest.raises(DataError, match="^ndarrays up to 255$"), Checking(check) as checking:
        METHODS[method](model, make(BAD), checking)


@pytest.mark.parametrize("make", KINDS)
def test_what_is_wrong_in_the_first_batch_ends_in_kelbos_error(model, make):
    with pytest.raises(DataError, match="up to 255"), Checking(check) as checking:
        fit(model, make(BAD[::-1].copy()), checking)


@pytest.mark.parametrize("make", PAIRS)
def test_a_target_is_checked_too(model, make):
    with pytest.raises(DataError, match="up to 255"), Checking(check) as checking:
        fit(model, make(GOOD, BAD), checking)


@pytest.mark.parametrize("make", KINDS)
def test_keras_takes_the_same_batches_with_the_same_weights(model, make):
    weight = np.arange(16, dtype="float32")
    arrays = (GOOD, GOOD, weight)
    with Checking(check) as checking:
        plain = model.evaluate(make(*arrays), steps=4, verbose=0)
        assert METHODS["evaluate"](model, make(*arrays), checking) == pytest.approx(plain)
        if make is not tf_data_of_one:
            assert plain == pytest.approx((GOOD.mean(axis=1) * weight).mean(), rel=1e-5)
        expected = model.predict(make(GOOD), steps=4, verbose=0)
        seen = METHODS["predict"](model, make(GOOD), checking)
    np.testing.assert_array_equal(seen, expected)
    assert seen.shape == (16, 1)


def test_a_generator_goes_on_where_it_stopped(model):
    seen = []

    def endless():
        while True:
            seen.append(len(seen))
            yield (GOOD[:4],)

    batches = endless()
    for _ in range(2):
        with Checking(check) as checking:
            fit(model, batches, checking)
    assert len(seen) >= 8
    next(batches)  # it was not closed


def test_epochs_and_length_are_passed_on(model):
    data = Batches(GOOD)
    with Checking(check) as checking:
        wrapped = checking.data(data)
        assert wrapped.num_batches == 4
        model.fit(wrapped, epochs=3, shuffle=False, verbose=0)
    assert data.begun == 3 and data.ended >= 3
    assert Checking(check).data(Unending(GOOD)).num_batches is None


@needs_torch
def test_a_loader_keeps_its_length_or_has_none():
    from torch.utils.data import DataLoader, IterableDataset

    class Endless(IterableDataset):
        def __iter__(self):
            while True:
                yield GOOD[0]

    checking = Checking(check)
    assert len(checking.data(loader(GOOD))) == 4
    endless = checking.data(DataLoader(Endless(), batch_size=4))
    assert not hasattr(endless.dataset, "__len__")
    assert next(iter(endless)).shape == (4, 2)


@needs_tensorflow
def test_a_tf_data_set_keeps_its_specification():
    data = tf_data(GOOD, GOOD)
    checked = Checking(check).data(data)
    assert checked.element_spec == data.element_spec
    assert int(checked.cardinality()) == 4


@pytest.mark.parametrize("kind", ["MapDataset", "IterDataset"])
def test_a_data_set_of_grain_is_mapped(kind):
    grain = type(kind, (), {"__module__": "grain._src.python.dataset.dataset", "map": map_of_grain})
    data = Checking(check).data(grain())
    np.testing.assert_array_equal(data(GOOD), GOOD)
    with pytest.raises(DataError, match="up to 255"):
        data(BAD)


def map_of_grain(self, function):
    return function


def test_dicts_of_inputs_are_checked_as_dicts():
    seen = []
    data = Checking(lambda x, y, sample_weight: seen.append((x, y))).data(
        batch for batch in [({"x": GOOD, "c": keras.ops.ones((16, 3))}, None)]
    )
    next(data)
    ((x, y),) = seen
    assert y is None and {name: type(value) for name, value in x.items()} == {
        "x": np.ndarray,
        "c": np.ndarray,
    }


def test_an_error_of_the_stream_itself_is_kelbos_too(model):
    class Gone(Batches):
        def __getitem__(self, index):
            if index == 3:
                raise DataError("image 5 is gone")
            return super().__getitem__(index)

    with pytest.raises(DataError, match="^image 5 is gone$"), Checking(check) as checking:
        fit(model, Gone(GOOD), checking)


def test_an_error_of_anyone_else_stays_as_it_is():
    with pytest.raises(ZeroDivisionError), Checking(check) as checking:
        with pytest.raises(DataError):
            list(checking.data(batch for batch in [(BAD,)]))
        raise ZeroDivisionError


@pytest.mark.parametrize("data", [GOOD, None, "text", [GOOD], iter([GOOD])])
def test_what_is_no_stream_is_returned_as_it_is(data):
    assert Checking(check).data(data) is data


def test_arrays_at_hand_are_not_checked_again():
    data = from_arrays(GOOD.reshape(8, 2, 2)).batches("train", 4)
    assert Checking(check).data(data) is data


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes import this file")
@pytest.mark.skipif(BACKEND != "torch", reason="Keras forks in a thread, of which others warn")
def test_processes_report_too(model):
    with pytest.raises(DataError, match="up to 255"), Checking(check) as checking:
        fit(model, processes(BAD), checking)
