"""A keras.Model whose batches several devices share, on JAX: `keras.distribution`.

A batch that they cannot share is refused: before anything is trained where the sizes are known,
otherwise when it comes, and then the model keeps the weights that it had before.
"""

import math
from typing import Any

import keras

from kelbo.backends.jax.batch_state import PREDICT, TEST, TRAIN, WholeStep
from kelbo.backends.jax.devices import check_shares
from kelbo.backends.jax.scan import Resident


class SharedBatches:
    """For a keras.Model to inherit from; elsewhere than on JAX it changes nothing."""

    def fit(self, x: Any = None, y: Any = None, batch_size: Any = None, **kwargs: Any) -> Any:
        """Train, as `keras.Model.fit`.

        Raises:
            DataError: the devices cannot share a batch.
        """
        validation = kwargs.get("validation_data")
        validation_size = kwargs.get("validation_batch_size") or batch_size
        count, fraction = _count(x), kwargs.get("validation_split")
        if validation is not None:
            held_out = _count(keras.utils.unpack_x_y_sample_weight(validation)[0])
        elif fraction and count is not None:
            whole, count = count, math.floor(count * (1.0 - fraction))
            held_out = whole - count
        else:
            held_out = None
        check_shares(count, batch_size, kwargs.get("steps_per_epoch"))
        check_shares(held_out, validation_size, kwargs.get("validation_steps"), " for validation")
        return super().fit(x, y, batch_size, **kwargs)  # type: ignore[misc]

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Loss and metrics, as `keras.Model.evaluate`.

        Raises:
            DataError: the devices cannot share a batch.
        """
        check_shares(_count(x), batch_size, kwargs.get("steps"))
        return super().evaluate(x, y, batch_size, *args, **kwargs)  # type: ignore[misc]

    def predict(self, x: Any, batch_size: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Outputs, as `keras.Model.predict`.

        Raises:
            DataError: the devices cannot share a batch.
        """
        check_shares(_count(x), batch_size, kwargs.get("steps"))
        return super().predict(x, batch_size, *args, **kwargs)  # type: ignore[misc]

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """One step, as `keras.Model.train_on_batch`.

        Raises:
            DataError: the devices cannot share the batch.
        """
        check_shares(_count(x), _count(x))
        return super().train_on_batch(x, *args, **kwargs)  # type: ignore[misc]

    def test_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Loss and metrics of a batch, as `keras.Model.test_on_batch`.

        Raises:
            DataError: the devices cannot share the batch.
        """
        check_shares(_count(x), _count(x))
        return super().test_on_batch(x, *args, **kwargs)  # type: ignore[misc]

    def make_train_function(self, force: bool = False) -> None:
        """The step of `fit`, which leaves the model whole."""
        super().make_train_function(force)  # type: ignore[misc]
        self._make_whole("train_function", TRAIN)

    def make_test_function(self, force: bool = False) -> None:
        """The step of `evaluate`, likewise."""
        super().make_test_function(force)  # type: ignore[misc]
        self._make_whole("test_function", TEST)

    def make_predict_function(self, force: bool = False) -> None:
        """The step of `predict`, likewise."""
        super().make_predict_function(force)  # type: ignore[misc]
        self._make_whole("predict_function", PREDICT)

    def _make_whole(self, name: str, parts: tuple[str, ...]) -> None:
        made = getattr(self, name)
        if keras.backend.backend() == "jax" and not isinstance(made, (WholeStep, Resident)):
            setattr(self, name, WholeStep(self, made, parts))


def _count(x: Any) -> int | None:
    """How many data there are in an array or a dict of them; None where it is not known."""
    shapes = [getattr(part, "shape", None) for part in keras.tree.flatten(x)]
    return shapes[0][0] if shapes and shapes[0] else None
