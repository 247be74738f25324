"""The structural similarity of two images, at one scale and at several, in keras.ops."""

import math
from typing import Any

import numpy as np
from keras import ops

from kelbo.distributions.distribution import Tensor, float32

# Of Wang et al.: a Gaussian window of 11 pixels with deviation 1.5; (0.01 L)^2 and (0.03 L)^2 with
# L = 1, the range of pixels.
WINDOW = 11
_DEVIATION = 1.5
_C1, _C2 = 0.01**2, 0.03**2
# The exponents of five scales, from the finest: Wang, Simoncelli and Bovik 2003.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def most_scales(height: int, width: int) -> int:
    """At how many scales, halved each time, an image is at least as large as the window."""
    sizes = [math.ceil(min(height, width) / 2**scale) for scale in range(len(SCALE_WEIGHTS))]
    return sum(size >= WINDOW for size in sizes)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """The mean structural similarity of images in [0, 1]: at most 1, for the same image.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004,
    equation 13, the mean over all whole windows and over the channels.

    Args:
        x: (batch, height, width, channels), at least 11 pixels each way.
        y: likewise.

    Returns:
        (batch,).
    """
    whole, _ = _ssim_and_contrast(float32(x), float32(y))
    return ops.mean(whole, axis=-1)


def multi_scale_ssim(x: Tensor, y: Tensor, scales: int) -> Tensor:
    """The structural similarity at several scales, of images in [0, 1]: (batch,).

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment",
    2003, equation 7: the product over the scales of contrast and structure, and of the whole at the
    coarsest, each to the power of its scale. With fewer than five scales these are the powers of
    the finest ones, made to sum to 1. From scale to scale 2 by 2 pixels are averaged; a part that
    is negative counts as 0.

    Args:
        x: (batch, height, width, channels).
        y: likewise.
        scales: 1 to 5, at most `most_scales` of the size.
    """
    powers = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    x, y = float32(x), float32(y)
    product: Any = 1.0
    for scale, power in enumerate(powers):
        whole, contrast = _ssim_and_contrast(x, y)
        part = whole if scale == scales - 1 else contrast
        # The root of 0 has no gradient.
        product = product * ops.power(ops.maximum(part, 1e-6), float(power))
        if scale < scales - 1:
            x, y = _halved(x), _halved(y)
    return ops.mean(product, axis=-1)


def _ssim_and_contrast(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The means over the windows of SSIM and of its contrast and structure, (batch, channels)."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    product, squares = mean_x * mean_y, ops.square(mean_x) + ops.square(mean_y)
    covariance = _windowed(x * y) - product
    variances = _windowed(ops.square(x) + ops.square(y)) - squares
    contrast = (2.0 * covariance + _C2) / (variances + _C2)
    luminance = (2.0 * product + _C1) / (squares + _C1)
    return ops.mean(luminance * contrast, axis=(1, 2)), ops.mean(contrast, axis=(1, 2))


def _windowed(x: Tensor) -> Tensor:
    """The weighted mean in each whole window: along the rows, then along the columns."""
    distance = np.arange(WINDOW) - (WINDOW - 1) / 2.0
    window = np.exp(-(distance**2) / (2.0 * _DEVIATION**2))
    window = (window / window.sum()).astype("float32")
    _, height, width, channels = x.shape
    rows = sum(float(w) * x[:, i : height - WINDOW + 1 + i] for i, w in enumerate(window))
    return sum(float(w) * rows[:, :, i : width - WINDOW + 1 + i] for i, w in enumerate(window))


def _halved(x: Tensor) -> Tensor:
    """2 by 2 pixels averaged; the last row or column of an odd number counts twice."""
    _, height, width, _ = x.shape
    x = ops.concatenate([x, x[:, -1:]], axis=1) if height % 2 else x
    x = ops.concatenate([x, x[:, :, -1:]], axis=2) if width % 2 else x
    return ops.average_pool(x, 2, 2, data_format="channels_last")
