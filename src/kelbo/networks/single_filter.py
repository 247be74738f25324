"""The transposed convolution of a single filter, as the last of a decoder of grey images.

It is a scalar product for each tap of the kernel and each pixel: one matrix product, and a sum of
shifted images. So are its gradients.
"""

from typing import Any

from keras import ops


@ops.custom_gradient
def single_filter(x: Any, kernel: Any) -> Any:
    """The transposed convolution of one filter, stride 1 and padding "same", without bias.

    y[p] = sum_i <x[p - i + a], kernel[i]>, a the rows or columns that "same" cuts in front. The
    gradients are two matrix products with the shifts of y's. JAX has the reverse mode alone.

    Args:
        x: (batch, height, width, channels), only the batch unknown.
        kernel: (kernel height, kernel width, channels).

    Returns:
        (batch, height, width, 1).
    """
    (rows, columns, channels), (height, width) = kernel.shape, x.shape[1:3]
    above, left = (rows - 1) // 2, (columns - 1) // 2
    below, right = rows - 1 - above, columns - 1 - left
    taps = [(i, j) for i in range(rows) for j in range(columns)]
    kernel_of_taps = ops.reshape(kernel, (-1, channels))
    pixels = ops.reshape(x, (-1, channels))

    def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any]:
        upstream = args[0] if upstream is None else upstream
        images = ops.pad(upstream[..., 0], ((0, 0), (above, below), (left, right)))
        shifts = ops.stack([images[:, i : i + height, j : j + width] for i, j in taps])
        shifts = ops.reshape(shifts, (len(taps), -1))
        of_x = ops.matmul(ops.transpose(shifts), kernel_of_taps)
        of_kernel = ops.matmul(shifts, pixels)
        return ops.reshape(of_x, (-1, height, width, channels)), ops.reshape(
            of_kernel, kernel.shape
        )

    products = ops.matmul(kernel_of_taps, ops.transpose(pixels))
    products = ops.reshape(products, (len(taps), -1, height, width))
    products = ops.pad(products, ((0, 0), (0, 0), (below, above), (right, left)))
    y = sum(
        products[k, :, rows - 1 - i :, columns - 1 - j :][:, :height, :width]
        for k, (i, j) in enumerate(taps)
    )
    return ops.expand_dims(y, -1), gradient
