"""The layer that shows a distribution: from its parameters to its mean or its mode."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kelbo import distributions
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import UsageError

_SUMMARIES = ("mean", "mode", "typical")


@keras.saving.register_keras_serializable("kelbo")
class Summary(keras.Layer):
    """A distribution's mean, or its mode, from its parameters in the order of its constructor.

    Args:
        kind: the name of a class in `kelbo.distributions`.
        what: the method that gives it: "mean", "mode" or "typical".
        options: what the constructor takes by name besides the parameters.

    Raises:
        UsageError: there is no such distribution, or no such summary.
    """

    def __init__(
        self, kind: str, what: str = "mean", options: Mapping[str, Any] | None = None, **kwargs: Any
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        made = getattr(distributions, kind, None) if kind in distributions.__all__ else None
        known = isinstance(made, type) and issubclass(made, Distribution) and what in _SUMMARIES
        if not known:  # a file may say anything
            raise UsageError(f"There is no {what!r} of a distribution {kind!r}.")
        self.kind = kind
        self.what = what
        self.options = dict(options or {})

    def call(self, parameters: Tensor | Sequence[Tensor]) -> Tensor:
        """One tensor, or a list of them, each batch first, to (batch, *event)."""
        parts = parameters if isinstance(parameters, (list, tuple)) else [parameters]
        make = getattr(distributions, self.kind)
        return getattr(make(*parts, **self.options), self.what)()

    def get_config(self) -> dict[str, Any]:
        """The distribution by its name, and what is shown of it."""
        own = {"kind": self.kind, "what": self.what, "options": dict(self.options)}
        return {**super().get_config(), **own}
