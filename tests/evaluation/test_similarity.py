import numpy as np
import pytest

from kelbo.evaluation.similarity import similarities


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    x = generator.random((3, 17, 14, 2), "float32")
    return x, np.clip(x + 0.2 * generator.standard_normal(x.shape), 0, 1).astype("float32")


def test_errors_are_means_over_the_values_of_a_datum(pair):
    x, y = pair
    found = similarities(x, x + np.float32(0.1), "image")
    np.testing.assert_allclose(found["mse"], 0.01, rtol=1e-5)
    np.testing.assert_allclose(found["psnr"], 20.0, rtol=1e-5)
    assert set(found) == {"mse", "psnr", "ssim"}
    np.testing.assert_array_equal(similarities(x, x, "image")["psnr"], 100.0)
    np.testing.assert_allclose(similarities(x, x, "image")["ssim"], 1.0, rtol=1e-6)
    assert (similarities(x, 1.0 - x, "image")["ssim"] < 0.0).all()
    assert set(similarities(x[:, :10], y[:, :10], "image")) == {"mse", "psnr"}
    assert set(similarities(x[:, 0, 0], y[:, 0, 0], "vector")) == {"mse"}
