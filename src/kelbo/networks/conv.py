"""The article's convolutional pair of networks, for images of any size and channel count.

Anracom's series "Variational Autoencoder with Tensorflow" (2022): three 3x3 convolutions, of which
the last two halve the image; the decoder mirrors them. On 28x28x1 images with 16 latent dimensions
the pair has 492,577 parameters, the posterior's two Dense layers included.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers

from kelbo.errors import UsageError
from kelbo.networks.conv_transpose import Conv2DTranspose
from kelbo.networks.float32_bias import Conv2D, Dense

# Keras's default slope at the article's time.
NEGATIVE_SLOPE = 0.3


def conv_encoder(
    data_shape: Sequence[int],
    filters: Sequence[int] = (32, 64, 128),
    strides: Sequence[int] = (1, 2, 2),
    dtype: str | None = None,
) -> keras.Model:
    """Images to features: (batch, height, width, channels) -> (batch, features).

    Args:
        data_shape: (height, width, channels) of one image.
        filters: channels after each convolution.
        strides: stride of each convolution.
        dtype: a Keras dtype policy for every layer; Keras's global one where None.

    Raises:
        UsageError: `data_shape` is no image shape, or `filters` and `strides` differ in length.
    """
    _check(data_shape, filters, strides)
    inputs = x = keras.Input(tuple(data_shape), name="enc_input")
    for i, (channels, stride) in enumerate(zip(filters, strides, strict=True), start=1):
        x = Conv2D(channels, 3, stride, padding="same", dtype=dtype, name=f"enc_conv_{i}")(x)
        x = layers.LeakyReLU(NEGATIVE_SLOPE, dtype=dtype, name=f"enc_leaky_{i}")(x)
    x = layers.Flatten(dtype=dtype, name="enc_flatten")(x)
    return keras.Model(inputs, x, name="conv_encoder")


def conv_decoder(
    data_shape: Sequence[int],
    latent_dim: int,
    output_shapes: Sequence[Sequence[int]] | None = None,
    filters: Sequence[int] = (32, 64, 128),
    strides: Sequence[int] = (1, 2, 2),
    dtype: str | None = None,
) -> keras.Model:
    """Latent vectors to the parameters of p(x|z): (batch, latent_dim) -> (batch, *output_shape).

    It walks the encoder's convolutions backwards. Where a side was odd on the way down, the
    doubled image is one pixel too large on the way up and is cropped. The article puts a
    LeakyReLU behind every transposed convolution, the last one included; so does this.

    Args:
        data_shape: (height, width, channels) of one image.
        latent_dim: size of z.
        output_shapes: what the likelihood needs, as `GaussianLikelihood.output_shapes(data_shape)`
            says: each output, (height, width, ...), gets a last layer of its own. One of
            `data_shape` where None.
        filters: the encoder's.
        strides: the encoder's.
        dtype: as the encoder's.

    Raises:
        UsageError: `data_shape` or an output is no image, or `filters` and `strides` differ in
            length.
    """
    _check(data_shape, filters, strides)
    shapes = [data_shape] if output_shapes is None else output_shapes
    _check_outputs(data_shape, shapes)
    height, width = data_shape[:2]
    sides = [(height, width)]
    for stride in strides:
        height, width = math.ceil(height / stride), math.ceil(width / stride)
        sides.append((height, width))

    inputs = keras.Input((latent_dim,), name="dec_input")
    x = Dense(height * width * filters[-1], dtype=dtype, name="dec_dense")(inputs)
    x = layers.Reshape((height, width, filters[-1]), dtype=dtype, name="dec_reshape")(x)
    # The transposed convolution i undoes the convolution i, last one first.
    for i in range(len(filters) - 1, 0, -1):
        x = _undo(x, filters[i - 1], strides[i], sides[i], dtype, suffix=str(i + 1))
    last = []
    for i, shape in enumerate(shapes, start=1):
        suffix = "1" if len(shapes) == 1 else f"1_{i}"
        image = _undo(x, math.prod(shape[2:]), strides[0], sides[0], dtype, suffix)
        if len(shape) != 3:
            image = layers.Reshape(tuple(shape), dtype=dtype, name=f"dec_reshape_{suffix}")(image)
        last.append(image)
    return keras.Model(inputs, last[0] if len(last) == 1 else last, name="conv_decoder")


def _undo(
    x: keras.KerasTensor,
    channels: int,
    stride: int,
    side: tuple[int, int],
    dtype: str | None,
    suffix: str,
) -> keras.KerasTensor:
    """One transposed convolution with its LeakyReLU, cropped to `side`."""
    x = Conv2DTranspose(
        channels, 3, stride, padding="same", dtype=dtype, name=f"dec_conv_{suffix}"
    )(x)
    surplus = tuple((0, x.shape[axis + 1] - side[axis]) for axis in (0, 1))
    if surplus != ((0, 0), (0, 0)):
        x = layers.Cropping2D(surplus, dtype=dtype, name=f"dec_crop_{suffix}")(x)
    return layers.LeakyReLU(NEGATIVE_SLOPE, dtype=dtype, name=f"dec_leaky_{suffix}")(x)


def _check(data_shape: Sequence[int], filters: Sequence[int], strides: Sequence[int]) -> None:
    if not isinstance(data_shape, Sequence) or len(data_shape) != 3 or min(data_shape) < 1:
        raise UsageError(
            "The convolutional networks expect data_shape = (height, width, channels), "
            f"received {data_shape!r}. For other data use the network 'mlp'."
        )
    if len(filters) != len(strides) or not filters:
        raise UsageError(
            f"Expected one stride for each convolution, received filters={tuple(filters)} "
            f"and strides={tuple(strides)}."
        )


def _check_outputs(data_shape: Sequence[int], shapes: Sequence[Sequence[int]]) -> None:
    for shape in shapes:
        if tuple(shape[:2]) != tuple(data_shape[:2]):
            raise UsageError(
                "The convolutional decoder gives outputs of the image's height and width, "
                f"{tuple(data_shape[:2])}; this likelihood needs one of shape {tuple(shape)}. "
                "Use the network 'mlp', which gives any shape."
            )
