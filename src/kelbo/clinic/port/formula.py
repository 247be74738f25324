"""The loss of a script as one formula, read from the original without running it.

With D pixels, d latent dimensions and n data, the loss of a batch is

    (1 / n) [p sum_n,D divergence(x, y) + c sum_n,d (1 + L - mu^2 - e^L)],

where p and c are what one element weighs after all reductions and factors (`objective.scale`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kelbo.clinic.doctor.expressions import Expression
from kelbo.clinic.doctor.objective import KL, Balance
from kelbo.clinic.doctor.values import Items, Tensor, Value

# Keras keeps probabilities this far from 0 and 1; in 32 bits the distance from 1 is another.
_LEAST = float(np.float32(1e-7))
_MOST = float(np.float32(1 - 1e-7))


@dataclass(frozen=True)
class Linear:
    """A number times one of the tensors that the model hands over.

    Args:
        factor: the number.
        path: the place of the tensor in the outputs, and then in a list there.
    """

    factor: float
    path: tuple[int, ...]

    def of(self, outputs: Any) -> np.ndarray:
        """Its values in the outputs of the model."""
        for place in self.path:
            outputs = outputs[place]
        return self.factor * np.asarray(outputs, "float64")


@dataclass(frozen=True)
class Formula:
    """The loss as a function of the data and the model's outputs.

    Args:
        divergence: "binary_crossentropy" or "squared_error".
        from_logits: whether the cross-entropy takes logits.
        pixel: the weight of an element of the divergence, p.
        latent: the weight of an element of 1 + L - mu^2 - e^L, c.
        mean: mu.
        log_var: L.
    """

    divergence: str
    from_logits: bool
    pixel: float
    latent: float
    mean: Linear
    log_var: Linear

    def __call__(self, data: np.ndarray, outputs: Sequence[Any]) -> float:
        """The loss of one batch.

        Args:
            data: the batch.
            outputs: the model's outputs, the reconstruction first.
        """
        mean, log_var = self.mean.of(outputs), self.log_var.of(outputs)
        kl = 1 + log_var - mean**2 - np.exp(log_var)
        elements = self._elements(data.astype("float64"), np.asarray(outputs[0], "float64"))
        return float(self.pixel * elements.sum() + self.latent * kl.sum()) / len(data)

    def _elements(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x = x.reshape(y.shape)
        if self.divergence == "squared_error":
            return (x - y) ** 2
        if self.from_logits:
            return np.maximum(y, 0) - x * y + np.log1p(np.exp(-np.abs(y)))
        y = np.clip(y, _LEAST, _MOST)
        return -(x * np.log(y) + (1 - x) * np.log(1 - y))

    def as_json(self) -> dict[str, Any]:
        """The formula as JSON, for another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Formula":
        """The formula that another process sent as JSON."""
        mean, log_var = (
            Linear(content[name]["factor"], tuple(content[name]["path"]))
            for name in ("mean", "log_var")
        )
        return cls(**{**content, "mean": mean, "log_var": log_var})


def formula(balance: Balance, handed: Sequence[Value]) -> Formula | None:
    """The formula of a loss; None if it has parts that cannot be read.

    Args:
        balance: the two terms of the loss.
        handed: the tensors that the ported model hands over after the reconstruction.
    """
    kl, divergence = balance.kl.content, balance.reconstruction.content
    if not isinstance(kl, KL) or isinstance(divergence, KL) or kl.factor is None:
        return None
    if divergence.kind not in ("binary_crossentropy", "squared_error"):
        return None
    mean, log_var = _linear(kl.mean, handed), _linear(kl.log_var, handed)
    if mean is None or log_var is None:
        return None
    latent = balance.latent.weight * kl.factor
    logits = bool(divergence.from_logits)
    return Formula(divergence.kind, logits, balance.pixel.weight, latent, mean, log_var)


def _linear(expression: Expression, handed: Sequence[Value]) -> Linear | None:
    if len(expression.terms) != 1:
        return None
    ((factor, atoms),) = expression.terms
    places = _places(handed, 1)
    return Linear(factor, places[atoms[0]]) if len(atoms) == 1 and atoms[0] in places else None


def _places(values: Sequence[Value], first: int) -> dict[Any, tuple[int, ...]]:
    found: dict[Any, tuple[int, ...]] = {}
    for place, value in enumerate(values, first):
        if isinstance(value, Items):
            inner = _places(value.items, 0)
            found |= {atom: (place, *path) for atom, path in inner.items()}
        elif isinstance(value, Tensor) and value.opaque is not None:
            found[value.opaque] = (place,)
    return found
