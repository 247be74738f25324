"""The parts of a VAE that a diagnosis looks at."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.clinic.diagnosis.data import Data, check_array, fits
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import DataError


@dataclass(frozen=True)
class Subject:
    """A model under diagnosis.

    Attributes:
        name: what is diagnosed, in a few words.
        model: the whole of it, which is trained; None where only its networks are known.
        encoder: the network from x to what `posterior` makes mu and log_var of.
        decoder: the network from z to what a likelihood makes a distribution of.
        posterior: the encoder's outputs -> mu and log_var, each (batch, latent_dim), or
            (batch, ..., channels) where z is an image; log_var is None for an autoencoder.
        likelihoods: name -> the decoder's outputs to p(x|z). Of a model that is not kelbo's these
            are those that it may mean; `loss_weights` measures which.
        prior: p(z), or None for an autoencoder.
        encoder_inputs: what the encoder takes, in its order: 0 is x, n the n-th condition.
        decoder_inputs: likewise, 0 is z.
        conditions: the shapes of the conditions, labels mostly, without the batch.
        heads: layers between the encoder's outputs and mu and log_var.
        supports: name of the likelihood -> the smallest and the largest value that x may have.
        declared_beta: the effective beta that the model itself states, or None.
        kl_can_warm_up: whether the KL has a weight of its own, that may rise from 0.
        training_steps: how many its optimiser has taken; None where that is not known. A new
            optimiser, of a model that was compiled again, has taken none and knows of none.
        origin: where its parts come from, where that had to be found out: name of the part -> what
            was taken for it.
    """

    name: str
    model: keras.Model | None
    encoder: keras.Layer
    decoder: keras.Layer
    posterior: Callable[[Any], tuple[Tensor, Tensor | None]]
    likelihoods: dict[str, Callable[[Any], Distribution]]
    prior: Distribution | None
    supports: dict[str, tuple[float, float]]
    encoder_inputs: tuple[int, ...] = (0,)
    decoder_inputs: tuple[int, ...] = (0,)
    conditions: tuple[tuple[int | None, ...], ...] = ()
    heads: tuple[keras.Layer, ...] = ()
    declared_beta: float | None = None
    kl_can_warm_up: bool = True
    training_steps: int | None = None
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[keras.Layer, ...]:
        """Encoder, heads and decoder, in the order in which data pass them."""
        return (self.encoder, *self.heads, self.decoder)

    @property
    def layers(self) -> list[keras.Layer]:
        """Their layers, in order."""
        return [layer for part in self.parts for layer in _layers(part)]

    @property
    def weights(self) -> list[keras.Variable]:
        """Their weights, in order."""
        return [weight for part in self.parts for weight in part.weights]

    @property
    def only_likelihood(self) -> str | None:
        """The name of p(x|z) where there is only one, which the model then means."""
        return next(iter(self.likelihoods)) if len(self.likelihoods) == 1 else None

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of a batch of x, as far as the encoder says it."""
        expected = getattr(self.encoder, "input_shape", None)
        if isinstance(expected, list):
            expected = expected[self.encoder_inputs.index(0)]
        return expected if isinstance(expected, tuple) and len(expected) > 1 else None

    def __str__(self) -> str:
        rows = [self.name, *(f"  {part + ':':<10} {what}" for part, what in self._described())]
        return "\n".join(rows)

    __repr__ = __str__

    def _described(self) -> Iterator[tuple[str, str]]:
        """Each part: what was taken for it, its shapes, and how many weights it has."""
        for part, layer in (("encoder", self.encoder), ("decoder", self.decoder)):
            given, made = (getattr(layer, f"{end}_shape", None) for end in ("input", "output"))
            weights = sum(math.prod(weight.shape) for weight in layer.weights)
            taken = f"{self.origin[part]}, " if part in self.origin else ""
            shapes = f"{given} -> {made}, " if given else ""
            yield part, f"{taken}{shapes}{weights:,} weights"
        yield "p(x|z)", self.origin.get("p(x|z)", " or ".join(self.likelihoods))
        if self.conditions:
            yield "given", ", ".join(f"a condition of shape {shape}" for shape in self.conditions)
        if "left out" in self.origin:
            yield "left out", self.origin["left out"]
        if self.training_steps is not None:
            yield "trained", f"{self.training_steps:,} steps"

    def shaped(self, images: np.ndarray) -> np.ndarray:
        """Images in the shape of x, where that is flat or has no axis for a single channel."""
        shape, given = (self.input_shape or ())[1:], images.shape[1:]
        flat = shape == (math.prod(given),)
        fits = flat or [n for n in shape if n != 1] == [n for n in given if n != 1]
        return images.reshape(len(images), *shape) if fits else images

    def check_shape(self, x: np.ndarray) -> None:
        """Check that x are data for the encoder, as far as it says what it takes.

        Raises:
            DataError: they have another shape.
        """
        expected = self.input_shape
        if expected is not None and not fits(expected[1:], x):
            raise DataError(f"The encoder takes data of shape {expected}, received {x.shape}.")

    def conditions_of(self, labels: np.ndarray | None) -> list[np.ndarray]:
        """Labels as the model takes them: as they are, or one-hot, where it takes more values.

        Raises:
            DataError: there are none, the model takes something else, or there are more classes.
        """
        shapes = ", ".join(map(str, self.conditions))
        sizes = self.conditions[0] if len(self.conditions) == 1 else (None,)
        classes = sizes[0] if sizes else 1
        if labels is None or len(sizes) > 1 or classes is None:
            what = "these data have none" if labels is None else "these are labels"
            raise DataError(
                f"The model takes conditions of shape {shapes} beside x, and {what}. Pass them in "
                "Python: kelbo.diagnose(kelbo.read_model(path), [x, conditions])."
            )
        if classes == 1:
            return [labels.reshape(len(labels), *sizes)]
        if labels.min() < 0 or labels.max() >= classes:
            raise DataError(
                f"The model takes a condition of {classes} classes, received labels from "
                f"{labels.min()} to {labels.max()}."
            )
        return [np.eye(classes, dtype="float32")[labels]]

    def data(self, x: Any, y: np.ndarray | None = None) -> Data:
        """What `fit` takes, as data for the encoder and the decoder.

        Args:
            x: an array; or, with conditions, a list, a tuple or a dictionary of arrays.
            y: the target; or, where x is a single array, the only condition.

        Raises:
            DataError: they are not arrays of one length, or do not fit the model.
        """
        arrays = keras.tree.flatten(x)
        is_condition = y is not None and len(arrays) == len(self.conditions) == 1
        arrays += [y] if is_condition else []
        for array in arrays if y is None else [*arrays, y]:
            check_array(array, axes=1)
        if len(arrays) != 1 + len(self.conditions):
            shapes = f" of shape {', '.join(map(str, self.conditions))}" if self.conditions else ""
            raise DataError(
                f"Expected x and {len(self.conditions)} condition(s){shapes}, received "
                f"{len(arrays)} array(s). Pass them together, as to fit: [x, labels]."
            )
        shape, given = self.input_shape, list(arrays)
        place = next((n for n, one in enumerate(given) if shape and fits(shape[1:], one)), 0)
        data = given.pop(place)
        check_array(data)
        self.check_shape(data)
        conditions = []
        for shape in self.conditions:
            fitting = [n for n, one in enumerate(given) if fits(shape, one)]
            if not fitting:
                found = ", ".join(str(one.shape) for one in given)
                raise DataError(f"Expected a condition of shape {shape}, received {found}.")
            conditions.append(given.pop(fitting[0]))
        target = data if y is None or is_condition else y
        for array in (*conditions, target):
            if len(array) != len(data):
                what = "target" if array is target else "condition"
                raise DataError(
                    f"Expected a {what} for each of {len(data)} data, received {len(array)}."
                )
        return Data(data, tuple(conditions), target, x, y)

    def outputs(
        self, x: np.ndarray, conditions: Sequence[np.ndarray] = (), training: bool = False
    ) -> Any:
        """All that the encoder gives, as tensors in its structure."""
        given = [[x, *conditions][n] for n in self.encoder_inputs]
        return _call(self.encoder, given, training)

    def encode(
        self, x: np.ndarray, conditions: Sequence[np.ndarray] = (), training: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Mu and log_var as `posterior` makes them; log_var is None for an autoencoder."""
        mu, log_var = self.posterior(self.outputs(x, conditions, training))
        return ops.convert_to_numpy(mu), None if log_var is None else ops.convert_to_numpy(log_var)

    def decode(
        self, z: np.ndarray, conditions: Sequence[np.ndarray] = (), training: bool = False
    ) -> Any:
        """The decoder's outputs as arrays, in the structure that `likelihoods` take."""
        given = [[z, *conditions][n] for n in self.decoder_inputs]
        outputs = _call(self.decoder, given, training)
        return keras.tree.map_structure(ops.convert_to_numpy, outputs)


def _call(layer: keras.Layer, inputs: Sequence[Any], training: bool) -> Any:
    tensors = [ops.convert_to_tensor(one) for one in inputs]
    given = tensors if len(tensors) > 1 else tensors[0]
    if "training" in inspect.signature(layer.call).parameters:
        return layer(given, training=training)
    return layer(given)


def _layers(network: keras.Layer) -> Iterator[keras.Layer]:
    """The layers of a network and of the networks inside it, in order."""
    inner = getattr(network, "layers", None)
    if not inner:
        yield network
        return
    for layer in inner:
        yield from _layers(layer)
