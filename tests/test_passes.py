import keras
import numpy as np
import pytest

from kelbo import passes
from kelbo.errors import UsageError
from tests.support import data, randomise, tiny_vae


@pytest.fixture
def sizes(monkeypatch):
    """The number of rows of every pass."""
    sizes = []
    predict_on_batch = keras.Model.predict_on_batch

    def spy(self, x):
        sizes.append(len(x))
        return predict_on_batch(self, x)

    monkeypatch.setattr(keras.Model, "predict_on_batch", spy)
    return sizes


def test_of_larger_data_fewer_rows_go_through_at_once():
    on_mnist = passes.rows_in_one_pass(784)
    assert on_mnist in (passes.ROWS_ON_CPU, passes.ROWS_ON_ACCELERATOR)
    assert passes.rows_in_one_pass(6) == on_mnist
    assert passes.rows_in_one_pass(2 * 784) == on_mnist // 2
    assert passes.rows_in_one_pass(10**9) == 1


@pytest.mark.parametrize(
    ("device", "rows"),
    [
        ("TFRT_CPU_0", passes.ROWS_ON_CPU),
        ("/job:localhost/replica:0/task:0/device:CPU:0", passes.ROWS_ON_CPU),
        ("/job:localhost/replica:0/task:0/device:GPU:0", passes.ROWS_ON_ACCELERATOR),
        ("cuda:0", passes.ROWS_ON_ACCELERATOR),
        ("mps:0", passes.ROWS_ON_ACCELERATOR),
    ],
)
def test_an_accelerator_takes_more(monkeypatch, device, rows):
    class Somewhere:
        def __init__(self, shape):
            self.device = device

    monkeypatch.setattr(passes.ops, "zeros", Somewhere)
    assert passes.rows_in_one_pass(784) == rows


@pytest.mark.parametrize("method", ["encode", "decode", "reconstruct"])
@pytest.mark.parametrize("batch_size", [None, 1, 4, 10])
def test_the_size_of_a_pass_changes_no_result(sizes, method, batch_size):
    vae = tiny_vae()
    randomise(vae)
    x = np.random.default_rng(0).random((10, 2)) if method == "decode" else data(10)
    result = getattr(vae, method)(x, batch_size=batch_size)
    assert max(sizes) == min(10, batch_size or passes.ROWS_ON_CPU)
    assert sum(sizes) == 10
    expected = [getattr(vae, method)(x[i : i + 1]) for i in range(10)]
    expected = keras.tree.map_structure(lambda *rows: np.concatenate(rows), *expected)
    keras.tree.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), result, expected
    )


def test_what_has_batches_of_its_own_keeps_them():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return data(4)[2 * index : 2 * index + 2]

    vae = tiny_vae()
    np.testing.assert_allclose(vae.reconstruct(Batches()), vae.reconstruct(data(4)), rtol=1e-5)


def test_a_pass_has_at_least_one_row():
    with pytest.raises(UsageError, match="batch_size to be a whole number >= 1, received 0"):
        tiny_vae().reconstruct(data(3), batch_size=0)
