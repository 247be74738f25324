"""Arrays as they arrive -> float32 images (n, height, width, channels) in [0, 1], or an error.

The scale is never guessed: uint8 means 0..255, bool means 0 and 1, and a float must lie in [0, 1]
already. Everything else is refused with the line of code that mends it, for a wrong scale trains
without complaint and yields figures that mean nothing.
"""

import math
from typing import Any

import numpy as np

from kelbo.errors import DataError

# Rounding in other people's scaling may end this far outside [0, 1]; such pixels are clipped.
_TOLERANCE = 1e-6


def checked_images(array: Any, name: str) -> np.ndarray:
    """Scale, shape and check an array of images.

    Args:
        array: (n, height, width) or (n, height, width, channels) with 1, 3 or 4 channels, as
            uint8 (0..255), bool, or float in [0, 1]. A fourth channel is opacity: the image is
            laid over white. What NumPy makes an array of will do, as a tensor.
        name: what the array is called, for the errors.

    Returns:
        float32 (n, height, width, channels) in [0, 1] with 1 or 3 channels.

    Raises:
        DataError: the shape, the type or the values are not those of images.
    """
    images = _scaled(_shaped(as_array(array, name), name), name)
    return over_white(images) if images.shape[-1] == 4 else images


def checked_vectors(array: Any, name: str) -> np.ndarray:
    """Check vectors: float32 (n, features), from finite numbers of that shape.

    Raises:
        DataError: the shape, the type or the values are not those of vectors.
    """
    vectors = as_array(array, name)
    if vectors.ndim != 2 or vectors.size == 0:
        cure = f" One vector: {name}[None]" if vectors.ndim == 1 else ""
        raise DataError(
            f"Expected vectors of shape (n, features), found {name} of shape {vectors.shape}.{cure}"
        )
    if not (np.issubdtype(vectors.dtype, np.number) or vectors.dtype == np.bool_):
        raise DataError(f"Expected numbers, found {name} of {vectors.dtype}.")
    if np.issubdtype(vectors.dtype, np.complexfloating):
        raise DataError(f"Expected real numbers, found {name} of {vectors.dtype}.")
    _check_finite(vectors, name)
    return vectors.astype(np.float32)


def as_array(data: Any, name: str) -> np.ndarray:
    """An array, or what NumPy makes one of: a list, or a tensor of any framework.

    Raises:
        DataError: NumPy makes no array of numbers of it.
    """
    if isinstance(data, np.ndarray):
        return data
    kind = f"{type(data).__module__}.{type(data).__qualname__}"
    if isinstance(data, dict):
        raise DataError(
            f"Expected {name} to be an array, received a dict of {', '.join(map(str, data))}. "
            "Give the arrays one by one, as x_train=data['x']."
        )
    if hasattr(data, "toarray"):  # SciPy's sparse matrices
        raise DataError(
            f"Expected {name} to be a dense array, received a {kind}. Make it dense: "
            f"{name}.toarray()"
        )
    if hasattr(data, "detach"):  # a tensor of PyTorch, which may need a gradient or lie on a GPU
        data = data.detach().cpu()
    try:
        array = np.asarray(data)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Expected {name} to be an array, received a {kind}, of which NumPy makes none "
            f"({error}). Data of several shapes must be brought to one and stacked: np.stack"
        ) from error
    if array.dtype == object:
        raise DataError(
            f"Expected {name} to be an array of numbers, received a {kind}. Give a NumPy array or "
            "what np.asarray makes one of."
        )
    return array


def checked_labels(array: Any, count: int, name: str) -> np.ndarray | None:
    """Check labels: int64 (n,), from integers of shape (n,) or (n, 1); None stays None.

    Raises:
        DataError: they are not integers, or not one an image.
    """
    if array is None:
        return None
    array = as_array(array, name)
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"Expected integer labels in {name}, found {array.dtype}. "
            "Number the classes: np.unique(labels, return_inverse=True)[1]"
        )
    if array.shape not in ((count,), (count, 1)):
        one_hot = array.ndim == 2 and len(array) == count
        cure = f" Are they one-hot? Then: {name}.argmax(axis=1)" if one_hot else ""
        raise DataError(
            f"Expected one label for each of the {count} data, of shape ({count},), "
            f"found {name} of shape {array.shape}.{cure}"
        )
    return array.reshape(count).astype(np.int64)


def from_bytes(pixels: np.ndarray) -> np.ndarray:
    """Pixels 0..255 (uint8) -> float32 in [0, 1], k / 255 to the last digit; the same shape."""
    # In place, and by a float32, so that no second copy of the set is made.
    images = pixels.astype(np.float32)
    images /= np.float32(255)
    return images


def over_white(images: np.ndarray) -> np.ndarray:
    """Lay RGBA images over white: (..., 4) -> (..., 3)."""
    opacity = images[..., 3:]
    return images[..., :3] * opacity + (1 - opacity)


def _shaped(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim == 3 and array.shape[-1] == 3:
        raise DataError(
            f"{name} has shape {array.shape}, which looks like one colour image. Expected "
            f"(n, height, width) or (n, height, width, channels). One image: {name}[None]; grey "
            f"images that are 3 pixels wide: {name}[..., None]"
        )
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise DataError(
            f"Expected images of shape (n, height, width) or (n, height, width, channels), "
            f"found {name} of shape {array.shape}.{_shape_cure(array, name)}"
        )
    if array.size == 0:
        raise DataError(f"{name} is empty: its shape is {array.shape}.")
    if array.shape[-1] not in (1, 3, 4):
        if array.shape[1] in (1, 3, 4):
            raise DataError(
                f"{name} has shape {array.shape}: its channels come first, expected last. "
                f"Transpose it: {name}.transpose(0, 2, 3, 1)"
            )
        raise DataError(
            f"Expected images with 1, 3 or 4 channels in the last axis, "
            f"found {name} of shape {array.shape}."
        )
    return array


def _shape_cure(array: np.ndarray, name: str) -> str:
    if array.ndim != 2:
        return ""
    if array.shape[0] == array.shape[1]:
        return f" One image: {name}[None]"
    side = math.isqrt(array.shape[1])
    sides = f"{side}, {side}" if side * side == array.shape[1] else "height, width, channels"
    return (
        f" Were the images flattened? Then: {name}.reshape(-1, {sides}). If these are no images "
        'but vectors, in Python: kelbo.data.from_arrays(..., kind="vector")'
    )


def _scaled(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype == np.uint8:
        if array.max() == 1:
            raise DataError(
                f"{name} is uint8, which means 0..255, but its pixels are all 0 or 1. "
                f"Save binary images as bool: {name}.astype(bool)"
            )
        return from_bytes(array)
    if np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"Expected uint8, bool or float pixels, found {name} of {array.dtype} with values "
            f"from {array.min()} to {array.max()}. {_integer_cure(array, name)}"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"Expected uint8, bool or float pixels, found {name} of {array.dtype}.")
    _check_finite(array, name)
    _check_range(array, name)
    images = array.astype(np.float32)
    return np.clip(images, 0, 1, out=images)


def _integer_cure(array: np.ndarray, name: str) -> str:
    lowest, highest = int(array.min()), int(array.max())
    if lowest >= 0 and highest <= 1:
        return f"For binary images: {name}.astype(bool)"
    if lowest >= 0 and highest <= 255:
        return f"For pixels in 0..255: {name}.astype('uint8')"
    if lowest >= 0 and highest <= 65535:
        return f"For 16-bit pixels: ({name} / 65535).astype('float32')"
    return "Scale them to floats in [0, 1]."


def _check_finite(array: np.ndarray, name: str) -> None:
    finite = np.isfinite(array)
    if finite.all():
        return
    broken = np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1))
    nans = int(np.isnan(array).sum())
    infinities = int((~finite).sum()) - nans
    raise DataError(
        f"{name} holds {nans} NaN and {infinities} infinite values, in {len(broken)} of its "
        f"{len(array)} rows; the first is {name}[{broken[0]}]. Leave these rows out: "
        f"{name}[np.isfinite({name}).reshape(len({name}), -1).all(axis=1)]"
    )


def _check_range(array: np.ndarray, name: str) -> None:
    lowest, highest = float(array.min()), float(array.max())
    if lowest >= -_TOLERANCE and highest <= 1 + _TOLERANCE:
        return
    if lowest >= -0.1 and highest <= 1.1:
        cure = f"A filter or rounding seems to have overshot: np.clip({name}, 0, 1)"
    elif lowest >= -1 - _TOLERANCE and highest <= 1 + _TOLERANCE:
        cure = f"They look scaled to [-1, 1]: ({name} + 1) / 2"
    elif lowest >= -_TOLERANCE and 2 < highest <= 255:
        cure = f"They look like 0..255: divide by 255 ({name} / 255), or save as uint8."
    elif lowest < 0:
        cure = "They look standardised: save the pixels before mean and deviation were taken out."
    else:
        cure = f"Divide by the greatest value that a pixel can take: {name} / maximum"
    raise DataError(
        f"Expected float pixels in [0, 1], found {name} with values from {lowest:g} to "
        f"{highest:g}. {cure}"
    )
