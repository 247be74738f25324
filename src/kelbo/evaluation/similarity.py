"""How like the data reconstructions are: statistics of each datum, in NumPy."""

import numpy as np

# PSNR of a reconstruction without any error would be infinite.
MOST_DECIBELS = 100.0

# Wang et al. 2004: a Gaussian window of 11 pixels, and what keeps the ratios finite.
WINDOW = 11
_DEVIATION = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def similarities(x: np.ndarray, y: np.ndarray, kind: str) -> dict[str, np.ndarray]:
    """Statistics of data and their reconstructions.

    Args:
        x: (n, *data_shape).
        y: likewise.
        kind: "image" where they are pixels in [0, 1].

    Returns:
        mse, (n,), the mean squared error; of images psnr in decibels, (n,), and ssim, (n,), where
        they are at least 11 pixels high and wide.
    """
    axes = tuple(range(1, x.ndim))
    mse = np.square(x.astype("float64") - y).mean(axis=axes)
    found = {"mse": mse}
    if kind == "image":
        found["psnr"] = -10.0 * np.log10(np.maximum(mse, 10.0 ** (-MOST_DECIBELS / 10.0)))
        if min(x.shape[1:3]) >= WINDOW:
            found["ssim"] = ssim(x, y)
    return found


def ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The structural similarity of each pair of images, 1 where they are the same: (n,).

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", 2004, equation 13, averaged over the places where the whole window lies
    inside the image, and over the channels.

    Args:
        x: (n, height, width, channels), pixels in [0, 1], at least 11 high and wide.
        y: likewise.
    """
    x, y = x.astype("float64"), y.astype("float64")
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    luminance = (2.0 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2.0 * covariance + _C2) / (variance_x + variance_y + _C2)
    return (luminance * structure).mean(axis=(1, 2, 3))


def _blurred(images: np.ndarray) -> np.ndarray:
    """The weighted mean within the window, at each place where it lies inside the image."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * np.square(places / _DEVIATION))
    weights /= weights.sum()
    for axis in (1, 2):
        size = images.shape[axis] - WINDOW + 1
        images = sum(
            weight * images.take(range(start, start + size), axis=axis)
            for start, weight in enumerate(weights)
        )
    return images
