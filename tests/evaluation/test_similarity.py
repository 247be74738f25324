import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kelbo.evaluation.similarity import similarities, ssim


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    x = generator.random((3, 17, 14, 2), "float32")
    return x, np.clip(x + 0.2 * generator.standard_normal(x.shape), 0, 1).astype("float32")


def test_ssim_is_the_papers_formula(pair):
    """Against SciPy's Gaussian filter, cut to where the whole window lies inside."""

    def blurred(images):
        whole = gaussian_filter(images.astype("float64"), 1.5, truncate=3.5, axes=(1, 2))
        return whole[:, 5:-5, 5:-5]

    x, y = pair
    x64, y64 = x.astype("float64"), y.astype("float64")
    mx, my = blurred(x), blurred(y)
    vx, vy = blurred(x64**2) - mx**2, blurred(y64**2) - my**2
    covariance = blurred(x64 * y64) - mx * my
    c1, c2 = 1e-4, 9e-4
    expected = (2 * mx * my + c1) * (2 * covariance + c2)
    expected /= (mx**2 + my**2 + c1) * (vx + vy + c2)
    np.testing.assert_allclose(ssim(x, y), expected.mean(axis=(1, 2, 3)), rtol=1e-10)


def test_ssim_of_equal_of_flat_and_of_opposite_images(pair):
    x, _ = pair
    np.testing.assert_allclose(ssim(x, x), 1.0, rtol=1e-9)
    half, most = np.full((1, 11, 11, 1), 0.5), np.full((1, 11, 11, 1), 0.8)
    np.testing.assert_allclose(ssim(half, most), (0.8 + 1e-4) / (0.89 + 1e-4))
    assert (ssim(x, 1.0 - x) < 0.0).all()


def test_errors_are_means_over_the_values_of_a_datum(pair):
    x, y = pair
    found = similarities(x, x + np.float32(0.1), "image")
    np.testing.assert_allclose(found["mse"], 0.01, rtol=1e-5)
    np.testing.assert_allclose(found["psnr"], 20.0, rtol=1e-5)
    assert set(found) == {"mse", "psnr", "ssim"}
    np.testing.assert_array_equal(similarities(x, x, "image")["psnr"], 100.0)
    assert set(similarities(x[:, :10], y[:, :10], "image")) == {"mse", "psnr"}
    assert set(similarities(x[:, 0, 0], y[:, 0, 0], "vector")) == {"mse"}
