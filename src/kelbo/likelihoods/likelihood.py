"""The contract of a likelihood p(x|z)."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from kelbo.conditional import Conditional
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

    # Where x may lie.
    support: ClassVar[Support] = REAL

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

        It is called `dec_out`.
        """

    def decoder(self) -> keras.Model:
        """A plain keras model from z to the expected x, sharing every layer of this likelihood."""
        return keras.Model(self.inputs, self.expected(list(self.network.outputs)), name="decoder")

    def expected(self, outputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Symbolically: the expected x, from all outputs of the network; see `mean_layer`."""
        return self.mean_layer()(outputs if len(outputs) > 1 else outputs[0])

    def check(self, x: np.ndarray) -> None:
        """Check that data lie in the support.

        Args:
            x: (n, *event).

        Raises:
            DataError: a value is NaN, infinite, or outside the support.
        """
        self.support.check(x, type(self).__name__)

    def caution(self, support: Support) -> str:
        """What a user should know before training on data of a support, in a line, or nothing."""
        return ""

    def get_config(self) -> dict[str, Any]:
        """The network and the likelihood's own settings."""
        return {**super().get_config(), **self.options}
