"""An objective around another: the same loss and something more."""

from typing import Any

import keras

from kelbo.distributions.distribution import Tensor
from kelbo.kinds import check_kind
from kelbo.likelihoods import Likelihood
from kelbo.objectives.objective import Objective
from kelbo.objectives.reconstruction import Reconstruction
from kelbo.objectives.scheduled import Scheduled
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace


class Wrapper(Scheduled):
    """Another objective with a change: what is not overridden is the other's.

    Args:
        objective: the other; `Reconstruction` where None.
        weights: those of the change by name; see `Scheduled`.
        logged: the terms that the change adds.

    Raises:
        UsageError: `objective` is none, or a weight is none.
    """

    def __init__(
        self,
        objective: Objective | None,
        weights: dict[str, Any],
        logged: tuple[str, ...] = (),
        **kwargs: Any,
    ):
        super().__init__(weights, **kwargs)
        objective = Reconstruction(name="inner") if objective is None else objective
        check_kind(objective, Objective)
        self.objective = objective
        self.sample_shape = objective.sample_shape
        self.scheduled = self.scheduled or objective.scheduled
        self.logged = (*objective.logged, *logged, *self.scheduled_names)

    def build(self, data_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        """Make the other's weights."""
        if not self.objective.built:  # Keras builds one that it loads
            self.objective.build(data_shape, latent_shape)
        super().build(data_shape, latent_shape)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse what the other refuses."""
        self.objective.check(posterior, likelihood, prior)

    def prepare(self, count: int | None) -> None:
        """Hand on the number of training data."""
        self.objective.prepare(count)

    def corrupted(self, x: Tensor, seed: Any) -> Tensor:
        """The data as the other corrupts them."""
        return self.objective.corrupted(x, seed)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """The other's terms."""
        return {**self.objective.terms(trace), **self.scheduled_terms(trace.step)}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float | None:
        """The other's."""
        return self.objective.effective_beta(sizes, step)

    @property
    def settles(self) -> bool:
        """Whether the other's weights and those of the change stay from some step on."""
        return super().settles and self.objective.settles

    def in_words(self) -> str:
        """The other's words, and what is changed."""
        return ", ".join(part for part in (self.objective.in_words(), self.change()) if part)

    def change(self) -> str:
        """What is changed, in a few words."""
        return ""

    def get_config(self) -> dict[str, Any]:
        """The other objective and the weights."""
        serialized = keras.saving.serialize_keras_object(self.objective)
        return {**super().get_config(), "objective": serialized}
