"""An objective with weights that may follow a schedule."""

from typing import Any, Self

import keras
from keras.optimizers.schedules import LearningRateSchedule

from kelbo.distributions.distribution import Tensor
from kelbo.objectives.objective import Objective
from kelbo.objectives.weight import Weight, as_weight, settles, weight_at


class Scheduled(Objective):
    """An objective whose numbers are weights: each is >= 0, or a schedule of training steps.

    Each becomes an attribute. The value of one with a schedule is logged under its name.

    Args:
        weights: the weights by their names, which are those of the constructor's arguments.

    Raises:
        UsageError: one is no weight.
    """

    def __init__(self, weights: dict[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        self._names = tuple(weights)
        for name, weight in weights.items():
            setattr(self, name, as_weight(weight, name))
        self.scheduled = bool(self.scheduled_names)

    @property
    def scheduled_names(self) -> tuple[str, ...]:
        """The names of the weights that follow a schedule; they are logged."""
        schedules = LearningRateSchedule
        return tuple(name for name in self._names if isinstance(getattr(self, name), schedules))

    def now(self, name: str, step: Tensor | None) -> Tensor | float:
        """The weight of that name when `step` training steps have been taken: a scalar."""
        weight: Weight = getattr(self, name)
        return weight_at(weight, step)

    def scheduled_terms(self, step: Tensor | None) -> dict[str, Tensor]:
        """The present value of each weight that follows a schedule, a scalar."""
        return {name: self.now(name, step) for name in self.scheduled_names}

    @property
    def settles(self) -> bool:
        """Whether every weight stays the same from some training step on."""
        return all(settles(getattr(self, name)) for name in self._names)

    def get_config(self) -> dict[str, Any]:
        """The weights and the layer's own settings."""
        serialize = keras.saving.serialize_keras_object
        weights = {name: getattr(self, name) for name in self._names}
        weights |= {name: serialize(weights[name]) for name in self.scheduled_names}
        return {**super().get_config(), **weights}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value)
                if isinstance(value, dict) and "class_name" in value and name != "dtype"
                else value
                for name, value in config.items()
            }
        )
