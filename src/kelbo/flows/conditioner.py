"""The small networks inside a flow: some dimensions of z decide how others are moved."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import Parameterised, Tensor

# A dimension is scaled by e^-3 to e^3 in one layer: then no chain of layers overflows at once.
_BOUND = 3.0


class Shift(Parameterised):
    """How far dimensions are moved and scaled: a tanh network of z, as a plain value.

    Args:
        weights: the kernel (inputs, outputs) and the bias (outputs,) of each layer.
        context: what is added before the first tanh, (batch, outputs of the first layer); or None.
    """

    def __init__(self, weights: Sequence[tuple[Tensor, Tensor]], context: Tensor | None = None):
        self.weights = list(weights)
        self.context = context

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The shift and the log-scale, in (-3, 3), of as many dimensions: (S..., batch, n) each."""
        *hidden, (kernel, bias) = self.weights
        for index, (each, offset) in enumerate(hidden):
            z = ops.matmul(z, each) + offset
            if index == 0 and self.context is not None:
                z = z + self.context
            z = ops.tanh(z)
        shift, log_scale = ops.split(ops.matmul(z, kernel) + bias, 2, axis=-1)
        return shift, _BOUND * ops.tanh(log_scale / _BOUND)


class Conditioner(keras.Layer):
    """The weights of a `Shift`, which all data share.

    Args:
        masks: for each layer which inputs each of its outputs may see, (inputs, outputs), 0 or 1.
        context_units: how many numbers of a datum it sees beside z.
    """

    def __init__(self, masks: Sequence[np.ndarray], context_units: int = 0, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.masks = [mask.astype("float32") for mask in masks]
        self.context_units = context_units

    def build(self) -> None:
        """Make kernels and biases; with the small last ones the flow begins near the identity."""
        self.kernels, self.biases = [], []
        for index, mask in enumerate(self.masks, start=1):
            last = index == len(self.masks)
            initializer = keras.initializers.RandomNormal(stddev=0.01) if last else "glorot_uniform"
            kernel = self.add_weight(mask.shape, initializer, name=f"kernel_{index}")
            bias = self.add_weight(mask.shape[1:], "zeros", name=f"bias_{index}")
            self.kernels.append(kernel)
            self.biases.append(bias)
        if self.context_units:
            shape = (self.context_units, self.masks[0].shape[1])
            self.context_kernel = self.add_weight(shape, "glorot_uniform", name="context_kernel")

    def value(self, context: Tensor | None = None) -> Shift:
        """The network with the weights of now.

        Args:
            context: (batch, context_units).
        """
        weights = [
            (kernel * mask, ops.convert_to_tensor(bias))
            for kernel, bias, mask in zip(self.kernels, self.biases, self.masks, strict=True)
        ]
        seen = None if context is None else ops.matmul(context, self.context_kernel)
        return Shift(weights, seen)
