import importlib

import numpy as np
import pytest

from kelbo.data.keras_datasets import KERAS_DATASETS, load_keras_dataset
from kelbo.errors import DataError


@pytest.fixture(params=sorted(KERAS_DATASETS))
def name(request):
    return request.param


def stand_in(monkeypatch, name, load_data):
    module = importlib.import_module(f"keras.datasets.{name}")
    monkeypatch.setattr(module, "load_data", load_data)


@pytest.mark.parametrize("channels_first", [False, True])
def test_a_set_comes_with_labels_names_and_licence(monkeypatch, name, channels_first):
    shape = (28, 28) if name == "fashion_mnist" else (32, 32, 3)
    x = np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8)
    y = np.arange(12, dtype=np.uint8).reshape(-1, 1) % 10
    stored = x.transpose(0, 3, 1, 2) if channels_first and x.ndim == 4 else x
    stand_in(monkeypatch, name, lambda: ((stored[:8], y[:8]), (stored[8:], y[8:])))
    data = load_keras_dataset(name)
    expected = (x / np.float32(255)).reshape(12, *shape[:2], -1)
    np.testing.assert_array_equal(np.concatenate([data.train, data.test]), expected)
    assert data.train_labels.tolist() == y[:8, 0].tolist()
    assert data.test_labels.tolist() == y[8:, 0].tolist()
    assert data.name == name and data.licence
    assert data.label_names is None or len(data.label_names) == 10


def test_a_failed_download_is_one_clear_error(monkeypatch, name):
    def load_data():
        raise Exception("URL fetch failure on https://example.org: None -- no route to host")

    stand_in(monkeypatch, name, load_data)
    with pytest.raises(DataError, match=f"{name} .*no route to host.*use mnist"):
        load_keras_dataset(name)
