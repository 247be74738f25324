"""What a model is handed: data, perhaps with conditions, and what to say where it is neither."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import DataError

# The data's name among the inputs of a conditional model.
X = "x"
# Keras's own, where none is given.
KERAS_BATCH_SIZE = 32


def split(inputs: Tensor | Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The data x and the conditions: of {"x": x, "c": c} they are x and {"c": c}."""
    if not isinstance(inputs, Mapping):
        return inputs, {}
    return inputs[X], {name: value for name, value in inputs.items() if name != X}


def joined(x: Tensor, context: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """The inverse of `split`."""
    return {X: x, **context} if context else x


def select(
    first: Tensor, context: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> Tensor | dict[str, Tensor]:
    """What a part with these contexts takes: its first context alone, or with its conditions."""
    conditions = {name: context[name] for name in shapes if name in context}
    if not conditions or len(shapes) == 1:  # whatever the name of an only input
        return first
    if len(conditions) == len(shapes):
        return conditions
    (own,) = set(shapes) - set(conditions)
    return {own: first, **conditions}


def is_at_hand(data: Any) -> bool:
    """Whether data are an array, or a dict of arrays, and not a data set of batches."""
    return isinstance(data, Mapping) or hasattr(data, "shape")


def first_batch(data: Any) -> Any:
    """The first batch of a `keras.utils.PyDataset`; an array, or a dict of arrays, as it is.

    Returns:
        None of all else that comes in batches, for a look would use up a batch of a generator and
        fill the buffers of a tf.data.Dataset or a DataLoader; and of None.

    Raises:
        DataError: it is nothing that a model learns from.
    """
    if isinstance(data, Mapping):
        return {name: as_numpy(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)) and data and not np.isscalar(data[0]):
        kind = type(data).__name__
        raise DataError(
            f"Expected an array or a data set, received a {kind} of {len(data)}. "
            + (
                "A tuple (x, y) is one argument to Keras: call fit(x) with the array itself."
                if kind == "tuple"
                else "Use numpy.asarray."
            )
        )
    if isinstance(data, (list, tuple)):
        raise DataError(
            f"Expected an array or a data set, received a {type(data).__name__}. Use numpy.asarray."
        )
    if isinstance(data, keras.utils.PyDataset):
        if data.num_batches == 0:
            return np.empty(0)
        data = data[0]
    elif data is None or (isinstance(data, Iterable) and not hasattr(data, "shape")):
        return None
    if isinstance(data, (tuple, list)):
        data = data[0] if data else np.empty(0)
    if isinstance(data, Mapping):
        return {name: as_numpy(value) for name, value in data.items()}
    return as_numpy(data)


def as_numpy(data: Any) -> np.ndarray:
    """An array, a tensor of any framework or a data frame as an array.

    Raises:
        DataError: it is sparse, or nothing of the kind.
    """
    name = f"{type(data).__module__}.{type(data).__qualname__}"
    if name.startswith("scipy.sparse") or "Sparse" in type(data).__name__:
        raise DataError(
            f"Expected an array, received a sparse matrix ({type(data).__name__}). Make it dense: "
            "x.toarray() of SciPy's, tf.sparse.to_dense(x) of TensorFlow's."
        )
    if ops.is_tensor(data):
        return ops.convert_to_numpy(data)
    if hasattr(data, "detach"):  # PyTorch's, on another backend
        data = data.detach().cpu()
    array = np.asarray(data)
    if array.dtype == object:
        raise DataError(
            f"Expected numbers, received {name}. Give an array of numbers: numpy.asarray(x, "
            '"float32").'
        )
    return array


def check_shape(data: np.ndarray, shape: tuple[int, ...], name: str = "data") -> None:
    """Refuse an array that holds no data of this shape, or none at all.

    Raises:
        DataError: with the way out.
    """
    if data.size == 0:
        raise DataError("Expected at least one datum, received none.")
    if data.shape[1:] == shape:
        return
    expected = f"Expected {name} of shape (n, {', '.join(map(str, shape))}), received {data.shape}."
    if data.shape == shape:
        raise DataError(f"{expected} That is one datum without the batch axis: use x[None].")
    fits = math.prod(data.shape[1:]) == math.prod(shape) and data.ndim > 1
    raise DataError(expected + (f" Use x.reshape{(-1, *shape)}." if fits else ""))


def check_weights(weights: np.ndarray, count: int) -> None:
    """Refuse sample weights that are not one number for each datum.

    Raises:
        DataError: with what arrived.
    """
    if weights.shape not in ((count,), (count, 1)):
        raise DataError(
            f"Expected a sample weight for each datum, of shape ({count},), received "
            f"{weights.shape}."
        )


def check_target_shape(owner: str, target: Any, shape: tuple[int, ...]) -> None:
    """Refuse a target that has not the shape of the data, as labels have not.

    In a tf.data pipeline a size may be None: it is not known before the data come.

    Raises:
        DataError: with the way out.
    """
    received = tuple(target.shape[1:])
    fits = len(received) == len(shape) and all(
        found in (None, expected) for found, expected in zip(received, shape, strict=True)
    )
    if not fits:
        raise DataError(
            f"Expected data of shape {shape} as target, received {received}. A {owner} learns from "
            "x alone: call fit(x), or map labels away with dataset.map(lambda x, y: x)."
        )
