"""The warm-up of a weight, counted in epochs until the data and the batch size are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kelbo.errors import UsageError
from kelbo.presets.option import Option

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule

_EPOCHS = Option(
    "warmup_epochs",
    float,
    0.0,
    "Let beta rise from 0 over the first so many epochs.",
    minimum=0.0,
    argument=None,
)
OPTIONS = (_EPOCHS,)


@dataclass(frozen=True)
class Warmup:
    """Beta rises linearly from 0 to `beta` over the first `epochs` epochs, then stays."""

    epochs: float
    beta: float = 1.0

    def __post_init__(self) -> None:
        _EPOCHS.check(self.epochs)

    def schedule(self, steps_per_epoch: int) -> "LearningRateSchedule":
        """The schedule in training steps."""
        from kelbo.objectives import LinearWarmup

        return LinearWarmup(max(1, round(self.epochs * steps_per_epoch)), self.beta)


def with_warmup(
    values: Mapping[str, Any], scheduled: str, steps_per_epoch: int | None
) -> dict[str, Any]:
    """The values of an objective's options, its weight as a schedule where a warm-up is asked for.

    Args:
        values: of all options by name, those of the warm-up among them.
        scheduled: the option that rises, or empty.
        steps_per_epoch: training steps in an epoch; None where the data are not known.

    Raises:
        UsageError: epochs are asked for, and the data are not known.
    """
    values = dict(values)
    epochs = values.pop(_EPOCHS.name, 0.0)
    weight = values.get(scheduled)
    if epochs:
        weight = Warmup(epochs, weight) if isinstance(weight, int | float) else weight
    if isinstance(weight, Warmup):
        if steps_per_epoch is None:
            raise UsageError(
                "A warm-up in epochs needs the number of data: use kelbo.presets.make(name, "
                "data.description, batch_size=...), or give a schedule in steps, as "
                f"{scheduled}=kelbo.LinearWarmup(steps)."
            )
        values[scheduled] = weight.schedule(steps_per_epoch)
    return values
