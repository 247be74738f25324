"""The loss of a script as one formula, read from the original without running it.

With D pixels, d latent dimensions and n data, the loss of a batch is a sum of terms such as

    (1 / n) p sum_n,D divergence(x, y)    and    (1 / n) c sum_n,d (1 + L - mu^2 - e^L),

where p and c are what one element weighs after all reductions and factors (`objective.scale`).
It is the sum that Keras 2 made: what add_loss is given, and the loss of compile.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kelbo.clinic.doctor.expressions import Expression, Reduction
from kelbo.clinic.doctor.objective import KL, Term, divergence_of, match_kl, scale, terms
from kelbo.clinic.doctor.values import Items, Shape, Tensor, Value

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
class Pixels:
    """A reconstruction loss.

    Args:
        divergence: "binary_crossentropy" or "squared_error".
        from_logits: whether the cross-entropy takes logits.
        weight: the weight of an element of the divergence, p.
    """

    divergence: str
    from_logits: bool
    weight: float

    def of(self, data: np.ndarray, outputs: Sequence[Any]) -> float:
        """Its sum over a batch."""
        y = np.asarray(outputs[0], "float64")
        x = data.astype("float64").reshape(y.shape)
        if self.divergence == "squared_error":
            elements = (x - y) ** 2
        elif self.from_logits:
            elements = np.maximum(y, 0) - x * y + np.log1p(np.exp(-np.abs(y)))
        else:
            y = np.clip(y, _LEAST, _MOST)
            elements = -(x * np.log(y) + (1 - x) * np.log(1 - y))
        return self.weight * float(elements.sum())


@dataclass(frozen=True)
class Latents:
    """A KL term.

    Args:
        weight: the weight of an element of 1 + L - mu^2 - e^L, c.
        mean: mu.
        log_var: L.
    """

    weight: float
    mean: Linear
    log_var: Linear

    def of(self, outputs: Sequence[Any]) -> float:
        """Its sum over a batch."""
        mean, log_var = self.mean.of(outputs), self.log_var.of(outputs)
        return self.weight * float((1 + log_var - mean**2 - np.exp(log_var)).sum())


@dataclass(frozen=True)
class Formula:
    """The loss as a function of the data and the model's outputs.

    Args:
        pixels: the reconstruction losses.
        latents: the KL terms.
        layers: whether layers of the script add to the loss themselves; that is no part of it.
    """

    pixels: tuple[Pixels, ...] = ()
    latents: tuple[Latents, ...] = ()
    layers: bool = False

    def __call__(self, data: np.ndarray, outputs: Sequence[Any]) -> float:
        """The loss of one batch.

        Args:
            data: the batch.
            outputs: the model's outputs, the reconstruction first.
        """
        terms = [term.of(data, outputs) for term in self.pixels]
        terms += [term.of(outputs) for term in self.latents]
        return sum(terms) / len(data)

    def as_json(self) -> dict[str, Any]:
        """The formula as JSON, for another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Formula":
        """The formula that another process sent as JSON."""

        def linear(one: dict[str, Any]) -> Linear:
            return Linear(one["factor"], tuple(one["path"]))

        latents = (
            Latents(one["weight"], linear(one["mean"]), linear(one["log_var"]))
            for one in content["latents"]
        )
        pixels = tuple(Pixels(**one) for one in content["pixels"])
        return cls(pixels, tuple(latents), content["layers"])


def formula(
    losses: Sequence[Value | None],
    compiled: Sequence[Term],
    handed: Sequence[Value],
    shape: Shape | None,
    layers: bool,
) -> Formula | None:
    """The formula of a sum of losses; None if it has parts that cannot be read.

    Args:
        losses: the losses.
        compiled: the reconstruction losses that compile is given by name.
        handed: the tensors that the model hands over after the reconstruction.
        shape: the shape of the data.
        layers: whether layers of the script add to the loss themselves.
    """
    found = list(compiled)
    for loss in losses:
        if not isinstance(loss, Tensor) or not _is_read_whole(loss.expression):
            return None
        found += terms(loss.expression)
    pixels, latents = [], []
    for term in found:
        counts = scale(term, None if isinstance(term.content, KL) else shape)
        if counts is None or counts.batches:
            return None
        content = term.content
        if not isinstance(content, KL):
            if content.kind not in ("binary_crossentropy", "squared_error"):
                return None
            sides = {side.opaque for side in (content.target, content.output) if side is not None}
            if sides & set(_places(handed, 1)):
                return None  # no distance of the reconstruction from the data
            pixels.append(Pixels(content.kind, bool(content.from_logits), counts.weight))
            continue
        mean, log_var = _linear(content.mean, handed), _linear(content.log_var, handed)
        if mean is None or log_var is None or content.factor is None:
            return None
        latents.append(Latents(counts.weight * content.factor, mean, log_var))
    return Formula(tuple(pixels), tuple(latents), layers)


def _is_read_whole(expression: Expression) -> bool:
    """Whether an expression is nothing but KL terms and reconstruction losses."""
    if match_kl(expression) is not None:
        return True
    return bool(expression.terms) and all(
        len(atoms) == 1
        and (
            _is_read_whole(atoms[0].argument)
            if isinstance(atoms[0], Reduction)
            else divergence_of(atoms[0]) is not None
        )
        for _, atoms in expression.terms
    )


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
