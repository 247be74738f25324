"""The contract of a likelihood p(x|z)."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kelbo.conditional import Conditional
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.support import REAL, Support


class Likelihood(Conditional):
    """p(x|z): the context is a latent vector z, the value a datum x.

    `output_shapes` says what the network must give for data of a shape; `parameters` names its
    outputs, `distribution` is made of them, and `mean_layer` shows them.

    Args:
        network: a keras.Model from z to the parameters.
        event_shape: the shape of one datum; the shape of the network's first output where None,
            which is right where each parameter has the shape of the datum.

    Raises:
        UsageError: the network's outputs have not the shapes that the likelihood needs.
    """

    # Where x may lie: of the class, or of each where its options say so.
    support: Support = REAL

    def __init__(
        self, network: keras.Model, event_shape: Sequence[int] | None = None, **kwargs: Any
    ):
        super().__init__(network, **kwargs)
        shapes = [tuple(output.shape[1:]) for output in network.outputs]
        self._event_shape = shapes[0] if event_shape is None else tuple(event_shape)
        expected = self.output_shapes(self._event_shape, **self.options)
        if shapes != [tuple(shape) for shape in expected]:
            raise UsageError(
                f"{type(self).__name__} expected a network with {len(expected)} output(s) of "
                f"shape {' and '.join(map(str, expected))} for data of shape "
                f"{self._event_shape}, but {network.name!r} has {len(shapes)}, of shape "
                f"{' and '.join(map(str, shapes))}."
            )

    @classmethod
    def output_shapes(cls, data_shape: Sequence[int], **options: Any) -> list[tuple[int, ...]]:
        """The shapes of the outputs that the network must have, without the batch axis.

        Args:
            data_shape: of one datum.
            **options: the likelihood's own, as its constructor takes them.
        """
        return [tuple(data_shape)]

    @property
    def options(self) -> dict[str, Any]:
        """The likelihood's own settings, as its constructor takes them."""
        return {}

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one datum."""
        return self._event_shape

    @abc.abstractmethod
    def mean_layer(self) -> keras.Layer:
        """A layer from the network's output, or the list of all its outputs, to the expected x.

        Classes and levels, whose numbers have no mean among them, are shown by the most probable
        one. The layer is called `dec_out`.
        """

    def decoder(self) -> keras.Model:
        """A plain keras model from z to the expected x, sharing every layer of this likelihood."""
        return keras.Model(self.inputs, self.expected(list(self.network.outputs)), name="decoder")

    def expected(self, outputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Symbolically: the expected x, from all outputs of the network; see `mean_layer`."""
        return self.mean_layer()(outputs if len(outputs) > 1 else outputs[0])

    def check(self, x: np.ndarray, observed: np.ndarray | None = None) -> None:
        """Check that data lie in the support.

        Args:
            x: (n, *event).
            observed: bool, (n, ...), with the first axes of x: which values count; None: all do.

        Raises:
            DataError: a value that counts is NaN, infinite, or outside the support.
        """
        counted = x if observed is None else x[observed]
        if counted.size:
            self.support.check(counted, type(self).__name__)

    @property
    def inside(self) -> float | np.ndarray:
        """A value in the support, to stand for what is not observed: a number, or (*event,)."""
        return self.support.inside

    def fitted(
        self,
        parameters: dict[str, Tensor],
        x: Tensor,
        observed: Tensor | None,
        total: Callable[[Tensor], Tensor],
    ) -> dict[str, Tensor]:
        """The parameters, with what a training step computes of its batch in closed form.

        Most likelihoods compute nothing of the kind, and this changes nothing. What one keeps for
        evaluation is a weight that does not train.

        Args:
            parameters: what `call` returned, (S..., batch, ...) each.
            x: the data, (batch, *event); what is not observed may be anything.
            observed: bool, broadcastable to x: which values count; None where all do.
            total: the sum of a tensor over all replicas that share the batch.
        """
        return parameters

    def caution(self, support: Support) -> str:
        """What a user should know before training on data of a support, in a line, or nothing."""
        return ""

    def get_config(self) -> dict[str, Any]:
        """The network and the likelihood's own settings."""
        return {**super().get_config(), **self.options}
