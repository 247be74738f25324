"""What the pairs of networks share: the widths of their layers, and images that fit them."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from kelbo.errors import UsageError
from kelbo.kinds import whole


def count(name: str, value: int, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        UsageError: it is none.
    """
    number = whole(name, value)
    if number < least:
        raise UsageError(f"Expected {name} >= {least}, received {number}.")
    return number


def refuse_both(name: str, listed: object, width: int | None, depth: int | None) -> None:
    """Refuse a list of layers beside a width or a depth, which say the same in another way.

    Raises:
        UsageError: both are given.
    """
    if listed is not None and (width, depth) != (None, None):
        raise UsageError(f"Expected {name}, or width and depth, received both. Leave one out.")


def check_image(data_shape: Sequence[int]) -> None:
    """Refuse data that are no images.

    Raises:
        UsageError: `data_shape` is not (height, width, channels).
    """
    if not isinstance(data_shape, Sequence) or len(data_shape) != 3 or min(data_shape) < 1:
        raise UsageError(
            "The convolutional networks expect data_shape = (height, width, channels), "
            f"received {data_shape!r}. For other data use the network 'mlp'."
        )


def image_outputs(
    data_shape: Sequence[int], output_shapes: Sequence[Sequence[int]] | None
) -> list[tuple[int, ...]]:
    """The shapes that a decoder of images has to give; one of `data_shape` where None.

    Raises:
        UsageError: one has another height or width than the image.
    """
    shapes = [tuple(shape) for shape in ([data_shape] if output_shapes is None else output_shapes)]
    for shape in shapes:
        if shape[:2] != tuple(data_shape[:2]):
            raise UsageError(
                "The convolutional decoder gives outputs of the image's height and width, "
                f"{tuple(data_shape[:2])}; this likelihood needs one of shape {shape}. "
                "Use the network 'mlp', which gives any shape."
            )
    return shapes


def sides(data_shape: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of an image, and what convolutions of these strides leave of them."""
    height, width = data_shape[:2]
    found = [(height, width)]
    for stride in strides:
        height, width = math.ceil(height / stride), math.ceil(width / stride)
        found.append((height, width))
    return found


def cropped(
    x: keras.KerasTensor, side: tuple[int, int], dtype: str | None, name: str
) -> keras.KerasTensor:
    """An image without what it has more of than `side`, at the bottom and on the right."""
    surplus = tuple((0, x.shape[axis + 1] - side[axis]) for axis in (0, 1))
    if surplus == ((0, 0), (0, 0)):
        return x
    return layers.Cropping2D(surplus, dtype=dtype, name=name)(x)


def reshaped(
    image: keras.KerasTensor, shape: tuple[int, ...], dtype: str | None, name: str
) -> keras.KerasTensor:
    """An image of (height, width, channels) as an output of another rank, such as classes."""
    if len(shape) == 3:
        return image
    return layers.Reshape(shape, dtype=dtype, name=name)(image)
