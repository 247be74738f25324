"""The contract of a likelihood p(x|z), and the check of data against its support."""

import abc
from typing import Any

import keras
import numpy as np

from kelbo.conditional import Conditional
from kelbo.errors import DataError, UsageError

# Rounding in other people's scaling may end this far outside the support.
_TOLERANCE = 1e-6


class Likelihood(Conditional):
    """p(x|z): the context is a latent vector z, the value a datum x.

    The network has one output, of the datum's shape, for each parameter of the likelihood.

    Args:
        network: a keras.Model from z to the parameters.

    Raises:
        UsageError: the network has another number of outputs, or outputs of different shapes.
    """

    # The smallest and largest value that x may have.
    support: tuple[float, float] = (-np.inf, np.inf)

    def __init__(self, network: keras.Model, **kwargs: Any):
        super().__init__(network, **kwargs)
        shapes = [tuple(output.shape[1:]) for output in network.outputs]
        if len(shapes) != self.outputs or len(set(shapes)) != 1:
            raise UsageError(
                f"{type(self).__name__} expected a network with {self.outputs} output(s) of one "
                f"shape, but {network.name!r} has outputs of shapes {shapes}."
            )

    @property
    def outputs(self) -> int:
        """How many parameters the network gives for each dimension of x."""
        return 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one datum."""
        return tuple(self.network.outputs[0].shape[1:])

    @abc.abstractmethod
    def mean_layer(self) -> keras.Layer:
        """A layer from the network's first output to the expected x."""

    def decoder(self) -> keras.Model:
        """A plain keras model from z to the expected x, sharing every layer of this likelihood."""
        mean = self.mean_layer()(self.network.outputs[0])
        return keras.Model(self.inputs, mean, name="decoder")

    def check(self, x: np.ndarray) -> None:
        """Check that data lie in the support.

        Args:
            x: (n, *event).

        Raises:
            DataError: a value is NaN, infinite, or outside the support.
        """
        check_values(x, self.support, type(self).__name__)


def check_values(x: np.ndarray, support: tuple[float, float], name: str) -> None:
    """Check that data lie in a support.

    Args:
        x: (n, *event).
        support: the smallest and the largest value that x may have.
        name: of the likelihood, for the message.

    Raises:
        DataError: a value is NaN, infinite, or outside the support.
    """
    if not np.issubdtype(x.dtype, np.number) and x.dtype != bool:
        raise DataError(f"Expected numbers, received an array of dtype {x.dtype}.")
    smallest, largest = float(np.min(x)), float(np.max(x))
    # NaN and infinity survive min and max, so a clean array costs two passes and no copy.
    if not np.isfinite(smallest) or not np.isfinite(largest):
        bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
        raise DataError(
            f"The data have NaN or infinite values in {bad.sum()} of {len(x)} rows (the first "
            f"is row {int(np.argmax(bad))}). Every value must be finite: remove those rows, "
            "for example with x[np.isfinite(x).all(axis=tuple(range(1, x.ndim)))]."
        )
    low, high = support
    if smallest >= low - _TOLERANCE and largest <= high + _TOLERANCE:
        return
    expected = f"A {name} expects values in [{low:g}, {high:g}]"
    if smallest >= 0.0 and 2.0 < largest <= 255.0:
        cure = "These look like 8-bit pixels: divide them by 255."
    elif smallest >= -0.1 and largest <= 1.1:
        cure = "A filter or rounding seems to have overshot: use numpy.clip(x, 0, 1)."
    elif smallest >= -1.0 and largest <= 1.0:
        cure = "These look like data scaled to [-1, 1]: use (x + 1) / 2."
    else:
        cure = "Rescale the data, or use a GaussianLikelihood, which takes any real value."
    raise DataError(f"{expected}, but the data lie in [{smallest:g}, {largest:g}]. {cure}")
