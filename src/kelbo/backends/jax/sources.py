"""The data that `fit` is asked to train and validate on, as sources of chunks."""

import math
from typing import Any

import keras
import numpy as np

from kelbo.backends.jax.columns import check_arrays
from kelbo.backends.jax.forbidden import Forbidden
from kelbo.data.at_hand import Source


class Arrays:
    """Arrays as `keras.Model.fit` takes them; a `Source`."""

    def __init__(self, x: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool):
        self._arrays = x, None if y is x else y, sample_weight
        self.batch_size = batch_size
        self.shuffle = shuffle

    def arrays(self) -> tuple[Any, Any, Any]:
        """x, y and sample weights."""
        return self._arrays

    def order(self) -> np.ndarray:
        """The order of the data in the epoch that begins."""
        count = len(self._arrays[0])
        # Keras's own draw, from NumPy's global state, at the same moment.
        return np.random.permutation(count) if self.shuffle else np.arange(count)

    def key(self) -> None:
        """None: the data are what they are."""
        return None

    def on_epoch_end(self) -> None:
        """Nothing changes."""


def split_validation(arguments: dict[str, Any]) -> dict[str, Any]:
    """As Keras does it: the last part of the arrays is for validation."""
    fraction = arguments.get("validation_split")
    if not fraction or arguments.get("validation_data") is not None:
        return dict(arguments)
    names = ("x", "y", "sample_weight")
    arrays = {name: arguments.get(name) for name in names}
    count = check_arrays(*arrays.values())
    at = math.floor(count * (1.0 - fraction))
    if not 0 < at < count:
        raise Forbidden(f"validation_split={fraction} leaves nothing on one side")
    if arrays["y"] is arrays["x"]:
        arrays["y"] = None
    split = {name: (a, a) if a is None else (a[:at], a[at:]) for name, a in arrays.items()}
    return (
        arguments
        | {name: split[name][0] for name in names}
        | {"validation_split": 0.0, "validation_data": tuple(split[name][1] for name in names)}
    )


def training_source(arguments: dict[str, Any]) -> Source:
    """The data to train on."""
    x, shuffle = arguments.get("x"), arguments.get("shuffle", True)
    if isinstance(x, Source):
        if x.arrays() is None:
            raise Forbidden(f"the images of the {type(x).__name__} are read batch by batch")
        if shuffle:
            raise Forbidden(
                f"shuffle=True would shuffle the batches of the {type(x).__name__}, which shuffles "
                "by itself: shuffle=False leaves it to it"
            )
        return x
    y, sample_weight = arguments.get("y"), arguments.get("sample_weight")
    return Arrays(x, y, sample_weight, arguments.get("batch_size") or 32, bool(shuffle))


def validation_source(arguments: dict[str, Any]) -> Source:
    """The data to validate on."""
    if arguments.get("validation_steps") is not None:
        raise Forbidden("validation_steps is given")
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(arguments["validation_data"])
    if isinstance(x, Source) and x.arrays() is not None:
        return x
    return Arrays(x, y, sample_weight, arguments["validation_batch_size"] or 32, shuffle=False)
