"""The transposed convolution, without the slow gradient that XLA gives it on JAX.

With stride (s, t) the output has s t phases, and each is an ordinary convolution of the input with
every s-th and t-th tap of the kernel. So all of them are one ordinary convolution to s t times the
channels, and those channels laid out in space: sub-pixel convolution (Shi et al., "Is the
deconvolution layer the same as a convolutional layer?", 2016, arXiv:1609.07009).
"""

import math
from typing import Any

import keras
from keras import layers, ops

from kelbo.networks.float32_bias import Float32Bias
from kelbo.networks.single_filter import single_filter


@keras.saving.register_keras_serializable("kelbo")
class Conv2DTranspose(Float32Bias, layers.Conv2DTranspose):
    """keras.layers.Conv2DTranspose: its arguments, its weights, its numbers to float32 rounding.

    On JAX a strided one with padding "same" is a sub-pixel convolution, because the gradient that
    XLA makes of a strided transposed convolution is many times slower. In inference, without a
    gradient, Keras's own is a little faster and is taken. A single filter without a stride is
    `single_filter` on TensorFlow and JAX. Everything else is Keras's own.

    Its bias, its name and its files are as in `float32_bias`.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """(batch, height, width, channels) -> (batch, s height, t width, filters).

        Args:
            inputs: the batch.
            training: False where no gradient will be asked for, as in `predict` and `evaluate`.
        """
        kernel = ops.convert_to_tensor(self.kernel)
        if training is not False and self._has_sub_pixel_form:
            outputs = _sub_pixel(inputs, kernel, self.strides)
        elif self._has_single_filter_form and None not in inputs.shape[1:]:
            # Tensors, where either may be a variable: TensorFlow's custom gradients take none.
            x = ops.reshape(inputs, (-1, *inputs.shape[1:]))
            outputs = single_filter(x, kernel[:, :, 0])
        else:
            return super().call(inputs)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return ops.cast(outputs, self.compute_dtype)

    @property
    def _has_sub_pixel_form(self) -> bool:
        # Keras refuses a dilation beside a stride.
        return keras.backend.backend() == "jax" and max(self.strides) > 1 and self._is_plain

    @property
    def _has_single_filter_form(self) -> bool:
        return (
            keras.backend.backend() in ("tensorflow", "jax")
            and self.filters == max(self.strides) == max(self.dilation_rate) == 1
            and self.compute_dtype == "float32"
            and self._is_plain
        )

    @property
    def _is_plain(self) -> bool:
        return (
            self.padding == "same"
            and self.output_padding is None
            and self.data_format == "channels_last"
        )


def _sub_pixel(x: Any, kernel: Any, strides: tuple[int, int]) -> Any:
    """The transposed convolution with padding "same", without bias.

    Args:
        x: (batch, height, width, channels).
        kernel: (kernel height, kernel width, filters, channels), as Keras keeps it.
        strides: (s, t).

    Returns:
        (batch, s height, t width, filters).
    """
    (s, t), (filters, channels) = strides, kernel.shape[2:]
    rows, row_zeros, row_border = _taps(kernel.shape[0], s)
    columns, column_zeros, column_border = _taps(kernel.shape[1], t)
    kernel = ops.pad(kernel, (row_zeros, column_zeros, (0, 0), (0, 0)))
    kernel = ops.reshape(kernel, (rows, s, columns, t, filters, channels))
    # j runs backwards because ops.conv sums x[q + j], not x[q - j].
    kernel = ops.transpose(ops.flip(kernel, axis=(0, 2)), (0, 2, 5, 1, 3, 4))
    kernel = ops.reshape(kernel, (rows, columns, channels, s * t * filters))

    height, width = ops.shape(x)[1:3]
    y = ops.conv(ops.pad(x, ((0, 0), row_border, column_border, (0, 0))), kernel)
    y = ops.reshape(y, (-1, height, width, s, t, filters))
    y = ops.transpose(y, (0, 1, 3, 2, 4, 5))
    return ops.reshape(y, (-1, s * height, t * width, filters))


def _taps(size: int, stride: int) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """How the taps w of a kernel fall on one axis.

    Padding "same" cuts c = max(size - stride, 0) // 2 values from the front of what x and w give,
    so phase r of the output is y[stride q + r] = sum_j x[q - j] w[stride j + r + c]. With zeros
    around w, j runs over the same values in every phase.

    Returns:
        How many values j has, the zeros before and after w, and those before and after x.
    """
    cut = max(size - stride, 0) // 2
    ahead = math.ceil(cut / stride)  # minus the smallest j
    front = stride * ahead - cut
    count = math.ceil((front + size) / stride)
    return count, (front, stride * count - front - size), (count - 1 - ahead, ahead)
