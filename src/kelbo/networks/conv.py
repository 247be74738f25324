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
from kelbo.networks.sizes import (
    check_image,
    count,
    cropped,
    image_outputs,
    refuse_both,
    reshaped,
    sides,
)

# The article's.
WIDTH = 32
DEPTH = 3
LEAKY_RELU = "leaky_relu"
# Keras's default slope at the article's time.
NEGATIVE_SLOPE = 0.3


def conv_encoder(
    data_shape: Sequence[int],
    filters: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    dtype: str | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    activation: str = LEAKY_RELU,
) -> keras.Model:
    """Images to features: (batch, height, width, channels) -> (batch, features).

    Args:
        data_shape: (height, width, channels) of one image.
        filters: channels after each convolution, where they do not double; else `width` and
            `depth`.
        strides: stride of each convolution; where None, 1 of the first and 2 of the others.
        dtype: a Keras dtype policy for every layer; Keras's global one where None.
        width: channels after the first convolution; each further one doubles them. 32 where None.
        depth: how many convolutions, of which all but the first halve the image; 3 where None.
        activation: behind every convolution, a name in `keras.activations`; the slope of
            "leaky_relu" is the article's 0.3.

    Raises:
        UsageError: `data_shape` is no image shape, `filters` and `strides` differ in length, a size
            is < 1, or the convolutions are given in both ways.
    """
    check_image(data_shape)
    filters, strides = _convolutions(filters, strides, width, depth)
    inputs = x = keras.Input(tuple(data_shape), name="enc_input")
    for i, (channels, stride) in enumerate(zip(filters, strides, strict=True), start=1):
        x = Conv2D(channels, 3, stride, padding="same", dtype=dtype, name=f"enc_conv_{i}")(x)
        x = _activate(x, activation, dtype, f"enc_{{}}_{i}")
    x = layers.Flatten(dtype=dtype, name="enc_flatten")(x)
    return keras.Model(inputs, x, name="conv_encoder")


def conv_decoder(
    data_shape: Sequence[int],
    latent_dim: int,
    output_shapes: Sequence[Sequence[int]] | None = None,
    filters: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    dtype: str | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    activation: str = LEAKY_RELU,
) -> keras.Model:
    """Latent vectors to the parameters of p(x|z): (batch, latent_dim) -> (batch, *output_shape).

    It walks the encoder's convolutions backwards. Where a side was odd on the way down, the
    doubled image is one pixel too large on the way up and is cropped. The article puts a
    LeakyReLU behind every transposed convolution, the last one included; so does this. Any other
    activation may be bounded, and the last convolution has none.

    Args:
        data_shape: (height, width, channels) of one image.
        latent_dim: size of z.
        output_shapes: what the likelihood needs, as `GaussianLikelihood.output_shapes(data_shape)`
            says: each output, (height, width, ...), gets a last layer of its own. One of
            `data_shape` where None.
        filters: the encoder's.
        strides: the encoder's.
        dtype: as the encoder's.
        width: the encoder's.
        depth: the encoder's.
        activation: the encoder's.

    Raises:
        UsageError: as the encoder, or an output is no image.
    """
    check_image(data_shape)
    filters, strides = _convolutions(filters, strides, width, depth)
    shapes = image_outputs(data_shape, output_shapes)
    sizes = sides(data_shape, strides)
    rows, columns = sizes[-1]

    inputs = keras.Input((latent_dim,), name="dec_input")
    x = Dense(rows * columns * filters[-1], dtype=dtype, name="dec_dense")(inputs)
    x = layers.Reshape((rows, columns, filters[-1]), dtype=dtype, name="dec_reshape")(x)
    # The transposed convolution i undoes the convolution i, last one first.
    for i in range(len(filters) - 1, 0, -1):
        x = _undo(x, filters[i - 1], strides[i], sizes[i], dtype, str(i + 1))
        x = _activate(x, activation, dtype, f"dec_{{}}_{i + 1}")
    last = []
    for i, shape in enumerate(shapes, start=1):
        suffix = "1" if len(shapes) == 1 else f"1_{i}"
        image = _undo(x, math.prod(shape[2:]), strides[0], sizes[0], dtype, suffix)
        if activation == LEAKY_RELU:
            image = _activate(image, activation, dtype, f"dec_{{}}_{suffix}")
        last.append(reshaped(image, shape, dtype, f"dec_reshape_{suffix}"))
    return keras.Model(inputs, last[0] if len(last) == 1 else last, name="conv_decoder")


def _undo(
    x: keras.KerasTensor,
    channels: int,
    stride: int,
    side: tuple[int, int],
    dtype: str | None,
    suffix: str,
) -> keras.KerasTensor:
    """One transposed convolution, cropped to `side`."""
    x = Conv2DTranspose(
        channels, 3, stride, padding="same", dtype=dtype, name=f"dec_conv_{suffix}"
    )(x)
    return cropped(x, side, dtype, f"dec_crop_{suffix}")


def _activate(
    x: keras.KerasTensor, activation: str, dtype: str | None, name: str
) -> keras.KerasTensor:
    """The activation as a layer; `name` has a place for its kind."""
    if activation == LEAKY_RELU:
        return layers.LeakyReLU(NEGATIVE_SLOPE, dtype=dtype, name=name.format("leaky"))(x)
    return layers.Activation(activation, dtype=dtype, name=name.format("activation"))(x)


def _convolutions(
    filters: Sequence[int] | None,
    strides: Sequence[int] | None,
    width: int | None,
    depth: int | None,
) -> tuple[Sequence[int], Sequence[int]]:
    """The channels and the stride of each convolution."""
    refuse_both("filters", filters, width, depth)
    if filters is None:
        width = count("width", WIDTH if width is None else width)
        depth = count("depth", DEPTH if depth is None else depth)
        filters = [width * 2**i for i in range(depth)]
    if strides is None:
        strides = [1] + [2] * (len(filters) - 1)
    if len(filters) != len(strides) or not filters:
        raise UsageError(
            f"Expected one stride for each convolution, received filters={tuple(filters)} "
            f"and strides={tuple(strides)}."
        )
    return filters, strides
