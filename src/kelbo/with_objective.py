"""What a keras.Model has of its objective: its weights and metrics, the steps counted, its beta."""

import math
from typing import Any

import keras
from keras import ops

from kelbo.beta import explain_beta, format_beta
from kelbo.data.stream import Batches
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.inputs import is_at_hand, split
from kelbo.kinds import check_kind
from kelbo.objectives import Objective

# The name under which training reports what the networks add to the loss.
PENALTY = "penalty"


class WithObjective:
    """For a keras.Model with an objective to inherit from."""

    objective: Objective
    add_weight: Any
    _trackers: dict[str, keras.metrics.Mean]
    _tracker: Any

    def check_parts(self, objective: Objective) -> None:
        """Refuse an objective that does not go with the parts of this model.

        Raises:
            UsageError: with the reason.
        """

    def _exchange_objective(self, objective: Any) -> None:
        """Get ready for another objective, or for the first.

        Raises:
            UsageError: it is none, or does not go with the parts.
        """
        check_kind(objective, Objective)
        self.check_parts(objective)
        if hasattr(self, "objective"):
            self._tracker.untrack(self.objective)  # Keras would keep its weights in the model

    def _take_objective(self) -> None:
        """Make what the objective needs: its weights, its metrics, a count of steps."""
        objective = self.objective
        if not objective.built:
            objective.build(self.data_shape, self.latent_shape)  # type: ignore[attr-defined]
        logged = {*objective.logged, PENALTY}
        for name in set(self._trackers) - logged:
            self._trackers.pop(name)
        for name in sorted(logged - set(self._trackers)):
            self._trackers[name] = keras.metrics.Mean(name)
        if not objective.scheduled and hasattr(self, "training_steps"):
            delattr(self, "training_steps")
        if objective.scheduled and not hasattr(self, "training_steps"):
            self.training_steps = self.add_weight(
                shape=(), initializer="zeros", dtype="int32", trainable=False, name="training_steps"
            )

    @property
    def effective_beta(self) -> float | None:
        """The weight of the KL measured against the ELBO's, or None where no number says it.

        With a schedule it is where the schedule ends; where that never settles, its value now.
        """
        if not self._settles:
            return self.current_beta
        return self.objective.effective_beta(self.sizes)  # type: ignore[attr-defined]

    @property
    def current_beta(self) -> float | None:
        """The effective beta after the training steps taken so far: lower during a warm-up."""
        return self.objective.effective_beta(self.sizes, self._step)  # type: ignore[attr-defined]

    @property
    def _settles(self) -> bool:
        return not self.objective.scheduled or self.objective.settles

    @property
    def _step(self) -> Tensor | None:
        scheduled = self.objective.scheduled
        return ops.convert_to_tensor(self.training_steps) if scheduled else None

    def check_objective(self, count: int | None = None) -> None:
        """Refuse an objective that is not the compiled one, which every step would go on using.

        Args:
            count: how many data `fit` is about to train on; None where that is not known.

        Raises:
            UsageError: it was exchanged, or a setting of it was; or it wants to know the count.
        """
        self.objective.prepare(count)
        compiled = self.__dict__.get("_compiled_objective")
        if compiled is None:
            return  # not compiled, as Keras says
        if compiled[0] is not self.objective or compiled[1] != self.objective.get_config():
            raise UsageError(
                "The objective was changed after compile(), and the compiled steps have the one "
                "before. Call compile(optimizer) again."
            )

    def describe_training(self) -> str:
        """One line: model, backend, precision, objective, effective beta and what that means."""
        line = f"kelbo: {type(self).__name__} on {keras.backend.backend()}"
        precision = self.precision  # type: ignore[attr-defined]
        if precision != "float32":
            line += f" in {precision}"
        if objective := self.objective.in_words():
            line += f", {objective}"
        beta = self.effective_beta
        if beta is None:
            kl = "no single weight of the KL" if "kl" in self.objective.logged else "no KL term"
            return f"{line}, {kl}"
        line += f", effective beta {format_beta(beta)}"
        if not self._settles:
            return f"{line} at first, on a schedule that never settles"
        if self.objective.scheduled:
            line += " at the end of its schedule"
        note = explain_beta(beta)
        return f"{line} ({note})" if note else line


def training_count(x: Any, held_out: float | None) -> int | None:
    """How many data `fit(x, validation_split=held_out)` trains on, where that can be told."""
    if isinstance(x, Batches):
        return len(x.data)
    # As Keras splits them.
    return math.floor(len(split(x)[0]) * (1.0 - (held_out or 0.0))) if is_at_hand(x) else None
