import keras
import numpy as np
import pytest

from kelbo.data import from_arrays
from kelbo.errors import DataError, RunError
from kelbo.evaluation.distances import (
    distance_figures,
    frechet_distance,
    kernel_distance,
    read_features,
)
from tests.support import DIM, SHAPE, data, randomise, tiny_ae, tiny_vae


def vectors(n, d, seed, scale=1.0, shift=0.0):
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(seed + 100).standard_normal((d, d))
    return scale * generator.standard_normal((n, d)) @ mixing + shift


@pytest.mark.parametrize("n, m, d", [(50, 40, 4), (6, 50, 9), (5, 4, 9)])
def test_the_frechet_distance_is_that_of_the_formula(n, m, d):
    x, y = vectors(n, d, 0), vectors(m, d, 1, 0.5, 1.0)
    cx, cy = np.cov(x.T), np.cov(y.T)
    expected = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    expected += np.trace(cx) + np.trace(cy)
    # tr sqrt(Cx Cy) = tr sqrt(sqrt(Cx) Cy sqrt(Cx)), whose argument is symmetric
    values, directions = np.linalg.eigh(cx)
    root = directions * np.sqrt(np.clip(values, 0.0, None)) @ directions.T
    inner = np.linalg.eigvalsh(root @ cy @ root)
    expected -= 2.0 * np.sqrt(np.clip(inner, 0.0, None)).sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9 * np.trace(cx))
    assert frechet_distance(x, x + 2.0) == pytest.approx(4.0 * d)


def test_the_kernel_distance_leaves_out_each_vector_with_itself():
    x, y = vectors(5, 3, 0), vectors(4, 3, 1)

    def k(a, b):
        return (a @ b / 3.0 + 1.0) ** 3

    expected = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    expected += np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    expected -= 2.0 * np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(expected)


def test_the_kernel_distance_is_unbiased():
    generator = np.random.default_rng(0)
    same = [kernel_distance(*generator.standard_normal((2, 8, 3))) for _ in range(500)]
    assert np.mean(same) == pytest.approx(0.0, abs=4.0 * np.std(same) / np.sqrt(500))
    apart = [
        kernel_distance(*(generator.standard_normal((2, 8, 3)) + [[[0]], [[1]]]))
        for _ in range(500)
    ]
    assert np.mean(apart) > 4.0 * np.std(apart) / np.sqrt(500)


@pytest.fixture
def network():
    pixels = keras.Input(SHAPE)
    halves = keras.layers.Dense(2, activation="tanh")(pixels)
    return keras.Model(pixels, halves)


def test_samples_are_compared_in_pixels_or_in_the_features_that_are_named(network, tmp_path):
    vae = tiny_vae()
    randomise(vae)
    x = data(30)
    found = distance_figures(vae, from_arrays(x, x), seed=3)
    flat, samples = x.reshape(30, DIM), vae.sample(30, seed=3)
    assert found == {
        "distance_samples": 30,
        "distance_features": "pixels",
        "frechet_distance": frechet_distance(flat, samples.reshape(30, DIM)),
        "kernel_distance": kernel_distance(flat, samples.reshape(30, DIM)),
    }
    network.save(tmp_path / "features.keras")
    features = read_features(tmp_path / "features.keras", SHAPE)
    expected = network.predict(x, verbose=0).reshape(30, 12)
    np.testing.assert_allclose(features(x), expected, rtol=1e-5, atol=1e-6)
    named = distance_figures(vae, from_arrays(x, x), features, "features.keras", seed=3)
    assert named["distance_features"] == "features.keras"
    drawn = network.predict(samples, verbose=0).reshape(30, 12)
    assert named["frechet_distance"] == pytest.approx(frechet_distance(expected, drawn), rel=1e-3)


def test_what_has_no_samples_has_no_distance():
    x = data(4)
    assert distance_figures(tiny_ae(), from_arrays(x, x)) == {}
    assert distance_figures(tiny_vae(), from_arrays(x, x[:1])) == {}


def test_features_that_cannot_be_used_are_refused(network, tmp_path):
    with pytest.raises(RunError, match="There is no model file"):
        read_features(tmp_path / "nothing.keras", SHAPE)
    network.save(tmp_path / "features.keras")
    with pytest.raises(DataError, match=r"to take data of shape \(5,\).*shape \(3, 2, 1\)"):
        read_features(tmp_path / "features.keras", (5,))
    pixels = keras.Input(SHAPE)
    keras.Model(pixels, keras.layers.Lambda(lambda x: x)(pixels)).save(tmp_path / "code.keras")
    with pytest.raises(RunError, match="code.keras is refused: it needs .*Lambda"):
        read_features(tmp_path / "code.keras", SHAPE)
