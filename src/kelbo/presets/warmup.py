"""The warm-up of a weight, counted in epochs until the data and the batch size are known."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kelbo.errors import UsageError
from kelbo.presets.option import Option

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule

# How the weight rises, and the class of `kelbo` that says so.
SCHEDULES = {
    "linear": "LinearWarmup",
    "cosine": "CosineWarmup",
    "sigmoid": "SigmoidWarmup",
    "cyclical": "CyclicalWarmup",
}
_EPOCHS = Option(
    "warmup_epochs",
    float,
    0.0,
    "Let the weight rise from 0 over the first so many epochs.",
    minimum=0.0,
    argument=None,
)
_STEPS = Option(
    "warmup_steps",
    int,
    0,
    "The same in training steps.",
    minimum=0,
    argument=None,
)
_SCHEDULE = Option(
    "schedule",
    str,
    "linear",
    "How it rises in a warm-up.",
    choices=tuple(SCHEDULES),
    argument=None,
)
OPTIONS = (_EPOCHS, _STEPS, _SCHEDULE)


@dataclass(frozen=True)
class Warmup:
    """A weight rises from 0 to `beta` over the first `epochs` epochs, then stays.

    Attributes:
        epochs: how long it rises.
        beta: the final value.
        schedule: "linear", "cosine", "sigmoid" or "cyclical", which rises four times.
    """

    epochs: float
    beta: float = 1.0
    schedule: str = "linear"

    def __post_init__(self) -> None:
        _EPOCHS.check(self.epochs)
        _SCHEDULE.check(self.schedule)

    def in_steps(self, steps_per_epoch: int) -> "LearningRateSchedule":
        """The schedule in training steps."""
        return _schedule(self.schedule, max(1, round(self.epochs * steps_per_epoch)), self.beta)


def with_warmup(
    values: Mapping[str, Any], scheduled: str, steps_per_epoch: int | None
) -> dict[str, Any]:
    """The values of an objective's options, its weight as a schedule where a warm-up is asked for.

    Args:
        values: of all options by name, those of the warm-up among them.
        scheduled: the option that rises, or empty.
        steps_per_epoch: training steps in an epoch; None where the data are not known.

    Raises:
        UsageError: the warm-up is given in epochs and in steps, or in epochs and the data are not
            known, or the weight is a schedule already.
    """
    values = dict(values)
    epochs, steps, kind = (values.pop(one.name, one.default) for one in OPTIONS)
    weight: Any = values.get(scheduled)
    if epochs and steps:
        raise UsageError("A warm-up is given in epochs and in steps. Leave one of them out.")
    if (epochs or steps) and not isinstance(weight, int | float):
        raise UsageError(f"{scheduled} is a schedule already. Leave the warm-up out.")
    if steps:
        weight = _schedule(kind, steps, weight)
    elif epochs:
        weight = Warmup(epochs, weight, kind)
    if isinstance(weight, Warmup):
        if steps_per_epoch is None:
            raise UsageError(
                "A warm-up in epochs needs the number of data: use kelbo.presets.make(name, "
                "data.description, batch_size=...), or give warmup_steps."
            )
        weight = weight.in_steps(steps_per_epoch)
    return {**values, scheduled: weight} if scheduled else values


def _schedule(kind: str, steps: int, weight: float) -> "LearningRateSchedule":
    return getattr(importlib.import_module("kelbo"), SCHEDULES[kind])(steps, weight)
