"""Resizing and change of channels, for images in memory.

The aspect is kept: an image is scaled until it covers the new size and what sticks out is cut off
evenly, so the centre stays. The filter is bicubic and antialiased.
"""

import numpy as np
from PIL import Image, ImageOps

# Luma of ITU-R BT.601, the weights that Pillow uses for image files.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale and crop one Pillow image to `size`, (height, width)."""
    height, width = size
    return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale and crop float32 images (n, h, w, channels) in [0, 1] to `size`, (height, width)."""
    if images.shape[1:3] == tuple(size):
        return images
    result = np.empty((len(images), *size, images.shape[-1]), dtype=np.float32)
    for image, target in zip(images, result, strict=True):
        for channel in range(images.shape[-1]):
            target[..., channel] = np.asarray(fit(Image.fromarray(image[..., channel]), size))
    # A bicubic filter overshoots beside sharp edges.
    return np.clip(result, 0, 1, out=result)


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Grey to colour by repetition, colour to grey by luma: (n, h, w, 1 or 3), float32."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    return (images @ _LUMA)[..., None]
