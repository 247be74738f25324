"""A keras.Model whose data are checked wherever they come from."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kelbo.checked import Checking
from kelbo.data.at_hand import array_at_hand
from kelbo.errors import DataError, UsageError
from kelbo.inputs import (
    as_numpy,
    check_shape,
    check_target_shape,
    check_weights,
    first_batch,
    is_at_hand,
    split,
)
from kelbo.likelihoods import Likelihood
from kelbo.support import REAL


class CheckedModel:
    """For a keras.Model with a likelihood to inherit from: every batch is checked.

    Arrays are checked whole before Keras takes them, all else batch by batch on the way to it.
    """

    likelihood: Likelihood
    check_objective: Any

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of one datum x."""
        return self.likelihood.event_shape

    @property
    def context_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each condition by name; empty where the model has none."""
        return {}

    def check_data(self, x: Any, y: Any = None, sample_weight: Any = None) -> None:
        """Check data before they are used: arrays whole, of a `PyDataset` the first batch.

        All else that comes in batches is passed over, for a look would use it up: `fit`,
        `evaluate` and `predict` check it batch by batch.

        Args:
            x: what `fit` takes as x.
            y: the target, or None.
            sample_weight: a weight for each datum, or None.

        Raises:
            DataError: the data are empty, not finite, of another shape, or outside the support; or
                a target or weights stand beside a data set, which brings its own.
        """
        at_hand = array_at_hand(x)
        data = first_batch(x) if at_hand is None else at_hand
        beside = [
            name
            for name, value in (("y", y), ("sample_weight", sample_weight))
            if value is not None
        ]
        if beside and not is_at_hand(x):
            raise DataError(
                f"Received {' and '.join(beside)} beside a {type(x).__name__}, of which each batch "
                "brings its own. Give batches (x, y, sample_weight), or arrays."
            )
        if data is not None:
            self.check_batch(data)
        if y is not None:
            target = first_batch(y)
            check_target_shape(type(self).__name__, target, self.data_shape)
            self.check_target(target, data)
        if sample_weight is not None:
            check_weights(as_numpy(sample_weight), len(split(data)[0]))

    def check_batch(self, data: np.ndarray | Mapping[str, np.ndarray]) -> None:
        """Check arrays: x, or {"x": x, "c": c} with conditions.

        Raises:
            DataError: as `check_data`.
        """
        shapes = self.context_shapes
        if isinstance(data, Mapping) != bool(shapes) or (shapes and set(data) != {"x", *shapes}):
            raise DataError(_unlike(type(self).__name__, data, shapes))
        x, context = split(data)
        self.check_target(x)
        for name, shape in shapes.items():
            check_shape(context[name], shape, name)
            REAL.check(context[name], f"condition {name!r} of a {type(self).__name__}")
            if len(context[name]) != len(x):
                raise DataError(
                    f"Expected one {name} for each datum, received {len(context[name])} for "
                    f"{len(x)} data."
                )

    def check_target(self, x: np.ndarray, inputs: Any = None) -> None:
        """Check an array of data x against their shape and the likelihood's support.

        Args:
            x: the data that p(x|z) is asked for.
            inputs: what the encoder is shown beside them; x itself where None.

        Raises:
            DataError: as `check_data`.
        """
        check_shape(x, self.data_shape)
        self.likelihood.check(x)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train, as `keras.Model.fit`; arrays are expected to have been checked."""
        validation = keras.utils.unpack_x_y_sample_weight(kwargs.get("validation_data"))
        with Checking(self.check_data) as checking:
            if validation[0] is not None:
                kwargs["validation_data"] = (checking.data(validation[0]), *validation[1:])
            return super().fit(checking.data(x), y, *args, **kwargs)  # type: ignore[misc]

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Loss and terms on data, as `keras.Model.evaluate`.

        Raises:
            DataError: the model cannot take the data.
        """
        rest = {"batch_size": batch_size, "verbose": verbose, "sample_weight": sample_weight}
        rest |= kwargs
        if kwargs.get("_use_cached_eval_dataset"):  # within `fit`, which checks them
            return super().evaluate(x, y, **rest)  # type: ignore[misc]
        self.check_data(x, y, sample_weight)
        with Checking(self.check_data) as checking:
            return super().evaluate(checking.data(x), y, **rest)  # type: ignore[misc]

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """One training step, as `keras.Model.train_on_batch`.

        Raises:
            DataError: the model cannot learn from the data.
            UsageError: class_weight is given.
        """
        class_weight = args[1] if len(args) > 1 else kwargs.get("class_weight")
        self.refuse_class_weight("train_on_batch", class_weight)
        self.check_objective()
        self.check_data(x, y, args[0] if args else kwargs.get("sample_weight"))
        return super().train_on_batch(x, y, *args, **kwargs)  # type: ignore[misc]

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Loss and terms of one batch, as `keras.Model.test_on_batch`.

        Raises:
            DataError: the model cannot take the data.
        """
        self.check_objective()
        self.check_data(x, y, args[0] if args else kwargs.get("sample_weight"))
        return super().test_on_batch(x, y, *args, **kwargs)  # type: ignore[misc]

    def refuse_class_weight(self, method: str, class_weight: Any) -> None:
        """Refuse weights of classes, which Keras looks up in targets that are classes.

        Raises:
            UsageError: with the way out.
        """
        if class_weight is not None:
            raise UsageError(
                f"{method}() received class_weight, but a {type(self).__name__} has no classes as "
                "targets. Give each datum its weight: sample_weight=weights[labels]."
            )


def _unlike(owner: str, data: Any, shapes: Mapping[str, Any]) -> str:
    """What to say of inputs with conditions that are not asked for, or without those that are."""
    received = (
        "a dict with " + ", ".join(map(repr, data)) if isinstance(data, Mapping) else "an array"
    )
    if shapes:
        wanted = ", ".join(f"{name!r}: {name}" for name in ("x", *shapes))
        return f"This {owner} has conditions: expected {{{wanted}}}, received {received}."
    return (
        f"A {owner} learns from x alone: expected an array, received {received}. Pass the data "
        "themselves: fit(data['image']), or dataset.map(lambda row: row['image'])."
    )
