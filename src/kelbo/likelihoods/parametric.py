"""Likelihoods declared by their parameters: outputs of the network, and positive numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras

from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.likelihoods.positive import NETWORK, Positive, positive_choice
from kelbo.likelihoods.summary_layer import Summary
from kelbo.networks.output_range import check_all_reals

# Parameters in these ranges must be possible; a clip that is wider is a guard.
_ENOUGH_OF_LOG = (-2.0, 0.5)


class ParametricLikelihood(Likelihood):
    """p(x|z) with independent dimensions, each with the same kind of parameters.

    A subclass declares them. `free` are outputs of the network, each of the shape of the data. Each
    of `positives` is fixed, learned, or one more output of the network, its logarithm.

    Args:
        network: a keras.Model from z to the free parameters, then to the logarithms of those
            positive ones whose choice is "network".
        choices: of each positive parameter by name: a number, "shared", "per-dimension" or
            "network".

    Raises:
        UsageError: a choice is none of these, an output of the network is bounded, or the outputs
            do not fit.
    """

    # Made of the free parameters, then of the logarithms of the positive ones.
    kind: ClassVar[type[Distribution]]
    # Each free parameter, and the values that it must be able to take; None where any will do.
    free: ClassVar[Mapping[str, tuple[float, float] | None]]
    # Each positive parameter, with the settings of `Positive`.
    positives: ClassVar[Mapping[str, Mapping[str, float]]] = {}

    def __init__(
        self, network: keras.Model, choices: Mapping[str, Any] | None = None, **kwargs: Any
    ):
        owner = type(self).__name__
        self._choices = {
            name: positive_choice(owner, name, choice, self.positives[name].get("above", 0.0))
            for name, choice in (choices or {}).items()
        }
        super().__init__(network, **kwargs)
        for place, (name, enough) in enumerate(self.free.items()):
            if enough is not None:
                check_all_reals(owner, network, place, name, enough)
        for place, name in enumerate(self._of_network, start=len(self.free)):
            check_all_reals(owner, network, place, f"log {name}", _ENOUGH_OF_LOG)
        for name, choice in self._choices.items():
            if choice != NETWORK:
                layer = Positive(choice, name=name, dtype="float32", **self.positives[name])
                setattr(self, _layer(name), layer)

    @property
    def _of_network(self) -> list[str]:
        """The positive parameters that are outputs of the network."""
        return [name for name, choice in self._choices.items() if choice == NETWORK]

    @classmethod
    def output_shapes(cls, data_shape: Sequence[int], **options: Any) -> list[tuple[int, ...]]:
        """One output for each free parameter, and for each positive one that the network gives."""
        given = sum(options.get(name) == NETWORK for name in cls.positives)
        return [tuple(data_shape)] * (len(cls.free) + given)

    @property
    def options(self) -> dict[str, Any]:
        """The choice of each positive parameter."""
        return dict(self._choices)

    def build(self, input_shape: Any = None) -> None:
        """Make the learned parameters."""
        for name, choice in self._choices.items():
            if choice != NETWORK:
                getattr(self, _layer(name)).build(self.output_shape)
        super().build(input_shape)

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The outputs of the network by name: the free parameters, and log_... of the others."""
        names = [*self.free, *(f"log_{name}" for name in self._of_network)]
        return dict(zip(names, outputs, strict=True))

    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        """The distribution with these parameters."""
        logs = [
            parameters[f"log_{name}"] if choice == NETWORK else getattr(self, _layer(name)).log
            for name, choice in self._choices.items()
        ]
        free = [parameters[name] for name in self.free]
        make: Callable[..., Distribution] = self.kind
        return make(*free, *logs, event_rank=self.event_rank)

    def mean_layer(self) -> keras.Layer:
        """From all parameters, in the order of the distribution's constructor, to the mean."""
        return Summary(self.kind.__name__, name="dec_out")

    def expected(self, outputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """The mean, which may need the learned parameters, too."""
        given = self.parameters(outputs)
        free = [given[name] for name in self.free]
        logs = [
            given[f"log_{name}"] if choice == NETWORK else getattr(self, _layer(name))(free[0])
            for name, choice in self._choices.items()
        ]
        return self.mean_layer()([*free, *logs])


def _layer(name: str) -> str:
    """The attribute that holds the layer of a positive parameter."""
    return f"{name}_parameter"
