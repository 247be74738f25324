"""A keras.Model whose data are checked wherever they come from."""

from typing import Any

import keras

from kelbo.checked import Checking
from kelbo.errors import UsageError


class CheckedModel:
    """For a keras.Model with `check_data` to inherit from: every batch is checked.

    Arrays are checked whole before Keras takes them, all else batch by batch on the way to it.
    """

    def check_data(self, x: Any, y: Any = None) -> None:
        """Check data x and the target y, or None.

        Raises:
            DataError: the model cannot learn from them.
        """
        raise NotImplementedError

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train, as `keras.Model.fit`; arrays are expected to have been checked."""
        validation = keras.utils.unpack_x_y_sample_weight(kwargs.get("validation_data"))
        with Checking(self.check_data) as checking:
            if validation[0] is not None:
                kwargs["validation_data"] = (checking.data(validation[0]), *validation[1:])
            return super().fit(checking.data(x), y, *args, **kwargs)  # type: ignore[misc]

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Loss and terms on data, as `keras.Model.evaluate`.

        Raises:
            DataError: the model cannot take the data.
        """
        if kwargs.get("_use_cached_eval_dataset"):  # within `fit`, which checks them
            return super().evaluate(x, y, *args, **kwargs)  # type: ignore[misc]
        self.check_data(x, y)
        with Checking(self.check_data) as checking:
            return super().evaluate(checking.data(x), y, *args, **kwargs)  # type: ignore[misc]

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """One training step, as `keras.Model.train_on_batch`.

        Raises:
            DataError: the model cannot learn from the data.
            UsageError: class_weight is given.
        """
        self.refuse_class_weight("train_on_batch", args[1] if len(args) > 1 else None, **kwargs)
        self.check_data(x, y)
        return super().train_on_batch(x, y, *args, **kwargs)  # type: ignore[misc]

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Loss and terms of one batch, as `keras.Model.test_on_batch`.

        Raises:
            DataError: the model cannot take the data.
        """
        self.check_data(x, y)
        return super().test_on_batch(x, y, *args, **kwargs)  # type: ignore[misc]

    def refuse_class_weight(self, method: str, class_weight: Any = None, **_: Any) -> None:
        """Refuse weights of classes, which Keras looks up in targets that are classes.

        Raises:
            UsageError: with the way out.
        """
        if class_weight is not None:
            raise UsageError(
                f"{method}() received class_weight, but a {type(self).__name__} has no classes as "
                "targets. Give each datum its weight: sample_weight=weights[labels]."
            )
