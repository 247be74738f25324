"""How many rows go through a network in one pass, so that memory is bounded and the device busy."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.backends.tensorflow.replicas import one_pass
from kelbo.errors import UsageError
from kelbo.inputs import is_at_hand

# For the article's network on MNIST, whose widest activation takes 100 kB a row. A CPU gains
# little from more than some hundreds of rows; these hold some hundreds of megabytes.
ROWS_ON_CPU = 2048
# An accelerator is busy only with many rows. For these XLA plans 4.2 GB in float32 when it compiles
# for an H100, so that they fit a small GPU too; their speed was not measured.
ROWS_ON_ACCELERATOR = 16_384
MNIST_PIXELS = 784


def rows_in_one_pass(data_dim: int) -> int:
    """How many data of so many dimensions are encoded or decoded at once on Keras's device.

    Of data larger than MNIST's images they are fewer, in proportion.
    """
    # Every backend's tensors name their device, as "/job:localhost/.../device:GPU:0" or "cuda:0".
    on_cpu = "cpu" in str(ops.zeros(()).device).lower()
    rows = ROWS_ON_CPU if on_cpu else ROWS_ON_ACCELERATOR
    return max(1, rows * MNIST_PIXELS // max(data_dim, MNIST_PIXELS))


def predict_in_passes(
    network: keras.Model,
    x: Any,
    batch_size: int | None,
    data_dim: int,
    on_progress: Callable[[int], None] | None = None,
) -> Any:
    """`network.predict(x)`, in passes of bounded memory and compiled for one size.

    `keras.Model.predict` takes 32 rows at a time, and on TensorFlow it holds the results of all
    batches on the device until the last is done; here each goes to the host at once.

    Args:
        network: a model whose outputs are batch first.
        x: an array, or a dict of them, or what else `predict` takes, which has its batches already.
        batch_size: rows in one pass; None: as many as suit the device.
        data_dim: size of one datum.
        on_progress: called after each pass of an array with the number of rows that are done.

    Raises:
        UsageError: batch_size < 1.
    """
    if batch_size is not None and not (isinstance(batch_size, Integral) and batch_size >= 1):
        raise UsageError(f"Expected batch_size to be a whole number >= 1, received {batch_size!r}.")
    if not is_at_hand(x):
        return network.predict(x, verbose=0)
    rows = rows_in_one_pass(data_dim) if batch_size is None else batch_size
    once = one_pass(network)

    def part(start: int) -> Any:
        return keras.tree.map_structure(lambda array: array[start : start + rows], x)

    count = len(keras.tree.flatten(x)[0])
    passes = []
    for start in range(0, count, rows):
        passes.append(once.predict_on_batch(part(start)))
        if on_progress is not None:
            on_progress(min(start + rows, count))
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *passes)
