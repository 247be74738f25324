"""The categorical likelihood p(x|z), for classes without an order."""

from collections.abc import Sequence
from typing import Any

import keras

from kelbo.distributions import Categorical
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.likelihoods.summary_layer import Summary
from kelbo.networks.output_range import check_all_reals
from kelbo.support import Support

_ENOUGH = (-4.0, 4.0)


@keras.saving.register_keras_serializable("kelbo")
class CategoricalLikelihood(Likelihood):
    """Each value is one of K classes with probabilities softmax(logits(z)), each independent.

    Data are the numbers of the classes, 0 to K - 1, and no one-hot code. The mean of such numbers
    says nothing, so the decoder, `predict` and `sample` show the number of the most probable class.

    Args:
        network: a keras.Model from z to logits, (*data_shape, K), which can be any real number.
        classes: K, at least 2.

    Raises:
        UsageError: K < 2, the logits are bounded, or the outputs do not fit.
    """

    def __init__(self, network: keras.Model, classes: int, **kwargs: Any):
        self.classes = number_of("classes", classes)
        if kwargs.get("event_shape") is None:
            kwargs["event_shape"] = network.outputs[0].shape[1:-1]
        super().__init__(network, **kwargs)
        self.support = Support("classes", 0.0, self.classes - 1.0)
        check_all_reals(type(self).__name__, network, 0, "logits", _ENOUGH)

    @classmethod
    def output_shapes(  # type: ignore[override]  # an option of its own
        cls, data_shape: Sequence[int], classes: int
    ) -> list[tuple[int, ...]]:
        """K logits for each dimension of the data."""
        return [(*data_shape, classes)]

    @property
    def options(self) -> dict[str, Any]:
        """The number of classes."""
        return {"classes": self.classes}

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The logits, (batch, *event, K)."""
        return {"logits": outputs[0]}

    def distribution(self, parameters: dict[str, Tensor]) -> Categorical:
        """Categorical(softmax(logits))."""
        return Categorical(parameters["logits"], self.event_rank)

    def mean_layer(self) -> keras.Layer:
        """From the logits to the number of the most probable class."""
        return Summary("Categorical", "mode", name="dec_out")


def number_of(name: str, value: Any) -> int:
    """A number of classes or levels.

    Raises:
        UsageError: it is no whole number of at least 2.
    """
    number = whole(name, value)
    if number < 2:
        raise UsageError(f"Expected at least 2 {name}, received {number}.")
    return number
