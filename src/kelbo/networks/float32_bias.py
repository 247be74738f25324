"""Layers whose bias is added in float32, also where they compute in bfloat16.

The gradient of a bias is a sum over the batch, in a convolution over all pixels too. Where it is
added up one by one in bfloat16, every addition rounds, and the sum stops growing at 256 times its
terms; added in float32 it is a sum of float32s (docs/architecture.md has what was measured).

That is so under a policy of mixed precision. One that keeps the weights in bfloat16 as well, as
"bfloat16", leaves a bias nothing to keep.

The classes have Keras's names because weight files name a layer by its class: either layer loads
the other's. A .keras file calls them `kelbo>Dense`, ... and needs kelbo imported.
"""

from typing import Any

import keras
from keras import layers, ops


class Float32Bias(layers.Layer):
    """A mixin for a Keras layer with a weight "bias". Its outputs keep the layer's own dtype."""

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras's, but for a bias, which stays float32 in `call`."""
        if kwargs.get("name") == "bias":
            kwargs["autocast"] = False
        return super().add_weight(*args, **kwargs)

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; bias and activation in float32, then rounded."""
        return ops.cast(super().call(inputs, *args, **kwargs), self.compute_dtype)


@keras.saving.register_keras_serializable("kelbo")
class Dense(Float32Bias, layers.Dense):
    """keras.layers.Dense with its bias in float32: (..., features) -> (..., units)."""


@keras.saving.register_keras_serializable("kelbo")
class Conv2D(Float32Bias, layers.Conv2D):
    """keras.layers.Conv2D with its bias in float32.

    (batch, height, width, channels) -> (batch, height / s, width / t, filters) with stride (s, t)
    and padding "same".
    """
