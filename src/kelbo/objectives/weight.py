"""A weight of a loss: a number >= 0, or a schedule of the training steps taken."""

import math
from numbers import Real
from typing import Any, TypeAlias

from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError

Weight: TypeAlias = float | LearningRateSchedule

# Training steps that none reaches, at no common distance, so that a cycle shows.
_FAR_OUT = (2**30, 2**30 - 1, 2**30 - 7_919, 2**30 - 104_729, 2**30 - 1_299_709)


def check_weight(weight: Any, name: str, otherwise: str = "") -> None:
    """Refuse what is no weight.

    Args:
        weight: a number.
        name: of the argument.
        otherwise: what it may be besides, such as " or a schedule".

    Raises:
        UsageError: it is no finite number >= 0.
    """
    number = isinstance(weight, Real) and not isinstance(weight, bool)
    if not (number and 0.0 <= float(weight) < math.inf):
        raise UsageError(
            f"{name} is expected to be a finite number >= 0{otherwise}, received {weight!r}."
        )


def as_weight(weight: Any, name: str) -> Weight:
    """The weight, a number as Python's.

    Raises:
        UsageError: it is neither a finite number >= 0 nor a schedule.
    """
    if isinstance(weight, LearningRateSchedule):
        return weight
    check_weight(weight, name, " or a schedule")
    return float(weight)


def weight_at(weight: Weight, step: Tensor | None) -> Tensor | float:
    """The weight within a training step: a scalar.

    Args:
        weight: of a loss.
        step: training steps taken, the present one included; unused without a schedule.
    """
    return ops.cast(weight(step), "float32") if isinstance(weight, LearningRateSchedule) else weight


def number_at(weight: Weight, step: Any = None) -> float:
    """The weight after so many training steps; where its schedule ends, if `step` is None."""
    if not isinstance(weight, LearningRateSchedule):
        return weight
    # A schedule is a function of the step alone; far out it has its final value.
    step = ops.convert_to_tensor(_FAR_OUT[0] if step is None else step, "int32")
    return float(ops.convert_to_numpy(weight(step)))


def settles(weight: Weight) -> bool:
    """Whether the weight stays the same from some training step on, as a cycle's does not."""
    far = [number_at(weight, step) for step in _FAR_OUT]
    # One that decays as 1 / step is not constant to the last digit, and settles all the same.
    return max(far) - min(far) <= 1e-3 * max(*far, number_at(weight, 1))
