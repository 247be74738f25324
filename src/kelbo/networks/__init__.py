"""Networks: tensors to tensors. They know no probability."""

from collections.abc import Callable

import keras

from kelbo.networks.conv import conv_decoder, conv_encoder
from kelbo.networks.conv_transpose import Conv2DTranspose
from kelbo.networks.float32_bias import Conv2D, Dense
from kelbo.networks.mlp import mlp_decoder, mlp_encoder
from kelbo.networks.residual import residual_decoder, residual_encoder

# Name -> (encoder of data_shape, width, depth, activation and dtype,
#          decoder of data_shape, latent_dim, output_shapes, width, depth, activation and dtype).
NETWORKS: dict[str, tuple[Callable[..., keras.Model], Callable[..., keras.Model]]] = {
    "conv": (conv_encoder, conv_decoder),
    "mlp": (mlp_encoder, mlp_decoder),
    "residual": (residual_encoder, residual_decoder),
}

__all__ = [
    "NETWORKS",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "conv_decoder",
    "conv_encoder",
    "mlp_decoder",
    "mlp_encoder",
    "residual_decoder",
    "residual_encoder",
]
