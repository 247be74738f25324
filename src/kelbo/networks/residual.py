"""A pair of residual networks with group normalisation, for images of any size.

Pre-activation blocks (He et al., "Identity Mappings in Deep Residual Networks", 2016) with group
normalisation (Wu and He, "Group Normalization", 2018) and SiLU, which do not depend on the batch
as batch normalisation does. Strided convolutions halve the image; on the way back nearest
neighbours double it, before a convolution, which leaves no checkerboard (Odena, Dumoulin and Olah,
"Deconvolution and Checkerboard Artifacts", 2016) and is fast on every backend.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers

from kelbo.networks.float32_bias import Conv2D, Dense
from kelbo.networks.sizes import check_image, count, cropped, image_outputs, reshaped, sides

# A group of a single channel on an image of a single pixel would be normalised to nothing.
LEAST_WIDTH = 4
_MOST_GROUPS = 8


def residual_encoder(
    data_shape: Sequence[int],
    width: int = 32,
    depth: int = 3,
    activation: str = "silu",
    dtype: str | None = None,
) -> keras.Model:
    """Images to features: (batch, height, width, channels) -> (batch, features).

    Args:
        data_shape: (height, width, channels) of one image.
        width: channels at the image's own size; each halving doubles them.
        depth: how many sizes the image passes, each with a residual block; between two of them it
            is halved.
        activation: of every block, a name in `keras.activations`.
        dtype: a Keras dtype policy for every layer; Keras's global one where None.

    Raises:
        UsageError: `data_shape` is no image shape, width < 4, or depth < 1.
    """
    check_image(data_shape)
    channels = _channels(width, depth)
    inputs = keras.Input(tuple(data_shape), name="enc_input")
    x = _conv(inputs, channels[0], 1, dtype, "enc_conv_in")
    for i, size in enumerate(channels, start=1):
        if i > 1:
            x = _conv(x, size, 2, dtype, f"enc_down_{i}")
        x = _block(x, activation, dtype, f"enc_block_{i}")
    x = _active(x, activation, dtype, "enc", "out")
    return keras.Model(
        inputs, layers.Flatten(dtype=dtype, name="enc_flatten")(x), name="residual_encoder"
    )


def residual_decoder(
    data_shape: Sequence[int],
    latent_dim: int,
    output_shapes: Sequence[Sequence[int]] | None = None,
    width: int = 32,
    depth: int = 3,
    activation: str = "silu",
    dtype: str | None = None,
) -> keras.Model:
    """Latent vectors to the parameters of p(x|z): (batch, latent_dim) -> (batch, *output_shape).

    It walks the encoder's sizes backwards. Where a side was odd on the way down, the doubled image
    is one pixel too large on the way up and is cropped.

    Args:
        data_shape: (height, width, channels) of one image.
        latent_dim: size of z.
        output_shapes: what the likelihood needs, as `GaussianLikelihood.output_shapes(data_shape)`
            says: each output, (height, width, ...), gets a last convolution of its own. One of
            `data_shape` where None.
        width: the encoder's.
        depth: the encoder's.
        activation: the encoder's; the last convolution has none.
        dtype: as the encoder's.

    Raises:
        UsageError: `data_shape` or an output is no image, width < 4, or depth < 1.
    """
    check_image(data_shape)
    shapes = image_outputs(data_shape, output_shapes)
    channels = _channels(width, depth)
    sizes = sides(data_shape, [2] * (len(channels) - 1))
    height, breadth = sizes[-1]

    inputs = keras.Input((latent_dim,), name="dec_input")
    x = Dense(height * breadth * channels[-1], dtype=dtype, name="dec_dense")(inputs)
    x = layers.Reshape((height, breadth, channels[-1]), dtype=dtype, name="dec_reshape")(x)
    for i in range(len(channels), 0, -1):
        x = _block(x, activation, dtype, f"dec_block_{i}")
        if i > 1:
            x = layers.UpSampling2D(dtype=dtype, name=f"dec_up_{i}")(x)
            x = cropped(x, sizes[i - 2], dtype, f"dec_crop_{i}")
            x = _conv(x, channels[i - 2], 1, dtype, f"dec_conv_{i}")
    x = _active(x, activation, dtype, "dec", "out")
    last = []
    for i, shape in enumerate(shapes, start=1):
        suffix = "" if len(shapes) == 1 else f"_{i}"
        image = _conv(x, math.prod(shape[2:]), 1, dtype, f"dec_output{suffix}")
        last.append(reshaped(image, shape, dtype, f"dec_output_reshape{suffix}"))
    return keras.Model(inputs, last[0] if len(last) == 1 else last, name="residual_decoder")


def _channels(width: int, depth: int) -> list[int]:
    """The channels at each size of the image, the largest first."""
    width = count("width", width, LEAST_WIDTH)
    return [width * 2**level for level in range(count("depth", depth))]


def _block(
    x: keras.KerasTensor, activation: str, dtype: str | None, name: str
) -> keras.KerasTensor:
    """x + F(x), where F is twice normalisation, activation and convolution."""
    channels, change = x.shape[-1], x
    for i in (1, 2):
        change = _active(change, activation, dtype, name, str(i))
        change = _conv(change, channels, 1, dtype, f"{name}_conv_{i}")
    return layers.Add(dtype=dtype, name=f"{name}_add")([x, change])


def _active(
    x: keras.KerasTensor, activation: str, dtype: str | None, name: str, place: str
) -> keras.KerasTensor:
    """Normalisation in groups, then the activation."""
    groups = _groups(x.shape[-1])
    x = layers.GroupNormalization(groups, dtype=dtype, name=f"{name}_norm_{place}")(x)
    return layers.Activation(activation, dtype=dtype, name=f"{name}_activation_{place}")(x)


def _groups(channels: int) -> int:
    """The most groups, up to 8, that share out the channels, at least 4 to each."""
    fitting = (n for n in range(1, _MOST_GROUPS + 1) if channels % n == 0)
    return max(n for n in fitting if n == 1 or channels // n >= LEAST_WIDTH)


def _conv(
    x: keras.KerasTensor, channels: int, stride: int, dtype: str | None, name: str
) -> keras.KerasTensor:
    return Conv2D(channels, 3, stride, padding="same", dtype=dtype, name=name)(x)
