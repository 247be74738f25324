"""A pair of fully connected networks.

The default is the one-layer recipe of Burda, Grosse and Salakhutdinov, "Importance Weighted
Autoencoders", 2016: two hidden layers of 200 tanh units on each side.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers

from kelbo.errors import UsageError
from kelbo.networks.float32_bias import Dense
from kelbo.networks.sizes import count, refuse_both

# Of Burda et al.
WIDTH = 200
DEPTH = 2


def mlp_encoder(
    data_shape: Sequence[int],
    hidden_units: Sequence[int] | None = None,
    activation: str = "tanh",
    dtype: str | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
) -> keras.Model:
    """Data of any shape to features: (batch, *data_shape) -> (batch, units of the last layer).

    Args:
        data_shape: the shape of one datum.
        hidden_units: the units of each hidden layer, where they differ; else `width` and `depth`.
        activation: of every hidden layer.
        dtype: a Keras dtype policy for every layer; Keras's global one where None.
        width: units of every hidden layer; 200 where None.
        depth: how many hidden layers; 2 where None.

    Raises:
        UsageError: `data_shape` or `hidden_units` is empty, a size is < 1, or the layers are given
            in both ways.
    """
    _check(data_shape)
    hidden_units = _hidden_units(hidden_units, width, depth)
    inputs = keras.Input(tuple(data_shape), name="enc_input")
    x = layers.Flatten(dtype=dtype, name="enc_flatten")(inputs)
    for i, units in enumerate(hidden_units, start=1):
        x = Dense(units, activation, dtype=dtype, name=f"enc_dense_{i}")(x)
    return keras.Model(inputs, x, name="mlp_encoder")


def mlp_decoder(
    data_shape: Sequence[int],
    latent_dim: int,
    output_shapes: Sequence[Sequence[int]] | None = None,
    hidden_units: Sequence[int] | None = None,
    activation: str = "tanh",
    dtype: str | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
) -> keras.Model:
    """Latent vectors to the parameters of p(x|z): (batch, latent_dim) -> (batch, *output_shape).

    Args:
        data_shape: the shape of one datum.
        latent_dim: size of z.
        output_shapes: what the likelihood needs, as `GaussianLikelihood.output_shapes(data_shape)`
            says: each output gets a last layer of its own. One of `data_shape` where None.
        hidden_units: the encoder's; the decoder mirrors them.
        activation: of every hidden layer; the last layer has none.
        dtype: as the encoder's.
        width: the encoder's.
        depth: the encoder's.

    Raises:
        UsageError: as the encoder.
    """
    _check(data_shape)
    hidden_units = _hidden_units(hidden_units, width, depth)
    inputs = x = keras.Input((latent_dim,), name="dec_input")
    for i, units in reversed(list(enumerate(hidden_units, start=1))):
        x = Dense(units, activation, dtype=dtype, name=f"dec_dense_{i}")(x)
    shapes = [data_shape] if output_shapes is None else output_shapes
    last = []
    for i, shape in enumerate(shapes, start=1):
        suffix = "" if len(shapes) == 1 else f"_{i}"
        flat = Dense(math.prod(shape), dtype=dtype, name=f"dec_output{suffix}")(x)
        reshape = layers.Reshape(tuple(shape), dtype=dtype, name=f"dec_reshape{suffix}")
        last.append(reshape(flat))
    return keras.Model(inputs, last[0] if len(last) == 1 else last, name="mlp_decoder")


def _check(data_shape: Sequence[int]) -> None:
    if not isinstance(data_shape, Sequence) or not data_shape or min(data_shape) < 1:
        raise UsageError(f"Expected the shape of one datum, a tuple, received {data_shape!r}.")


def _hidden_units(
    hidden_units: Sequence[int] | None, width: int | None, depth: int | None
) -> Sequence[int]:
    refuse_both("hidden_units", hidden_units, width, depth)
    if hidden_units is None:
        width = count("width", WIDTH if width is None else width)
        return [width] * count("depth", DEPTH if depth is None else depth)
    if not hidden_units:
        raise UsageError("Expected at least one hidden layer, received none.")
    return hidden_units
