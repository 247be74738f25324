"""How like the data reconstructions are: statistics of each datum."""

import numpy as np
from keras import ops

from kelbo.objectives.ssim import WINDOW, ssim

# PSNR of a reconstruction without any error would be infinite.
MOST_DECIBELS = 100.0


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
            found["ssim"] = ops.convert_to_numpy(ssim(x, y))
    return found
