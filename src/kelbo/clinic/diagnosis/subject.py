"""A model under diagnosis: the parts of a VAE, and how data pass through them."""

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
from kelbo.support import Support

# X and the conditions -> p(z).
PriorOf = Callable[[np.ndarray, Sequence[np.ndarray]], Distribution]


@dataclass(frozen=True)
class Subject:
    """A model under diagnosis.

    Attributes:
        name: the model in a few words.
        model: the whole model, as it is trained; None if only its networks are known.
        encoder: the network from x to the tensors that `posterior` takes.
        decoder: the network from z to the tensors that a likelihood takes.
        posterior: the encoder's outputs -> mu and log_var, each (batch, *latent_shape); log_var
            is None for an autoencoder.
        likelihoods: name -> the decoder's outputs to p(x|z). A model that is not kelbo's may mean
            any of these; `loss_weights` measures which.
        q: the encoder's outputs -> q(z|x), where that is not normal; then mu and log_var are its
            moments, on a sphere those of sqrt(d) z. None where they say all.
        prior: x and the conditions -> p(z), or p(z|c); None for an autoencoder.
        supports: name of the likelihood -> where x may lie.
        encoder_inputs: what the encoder takes, in its order: 0 is x, n the n-th condition.
        decoder_inputs: likewise, 0 is z.
        conditions: the shapes of the conditions, labels mostly, without the batch.
        condition_names: their names in a dictionary of data, beside "x"; empty where the model
            takes no dictionary.
        heads: layers between the encoder's outputs and mu and log_var.
        event_shape: the shape of one x as p(x|z) takes it; None where it is that of the decoder's
            output.
        observed: x -> which of its values count, as bool that broadcasts against x; None where
            all do.
        declared_beta: the effective beta that the model itself states, or None.
        kl_can_warm_up: whether the KL has a weight of its own that may rise from 0.
        training_steps: how many steps its optimiser has taken; 0 where the weights show that the
            model is not trained; None where neither tells.
        origin: the name of a part -> what was taken for it, where it had to be searched for.
        is_read: whether it was read from a file without its code. Then the whole model is trained
            on x as its target, unless another is given.
        hidden_loss: the reason why the file does not show the loss; "" where `model` is known.
    """

    name: str
    model: keras.Model | None
    encoder: keras.Layer
    decoder: keras.Layer
    posterior: Callable[[Any], tuple[Tensor, Tensor | None]]
    likelihoods: dict[str, Callable[[Any], Distribution]]
    prior: PriorOf | None
    supports: dict[str, Support]
    encoder_inputs: tuple[int, ...] = (0,)
    decoder_inputs: tuple[int, ...] = (0,)
    conditions: tuple[tuple[int | None, ...], ...] = ()
    condition_names: tuple[str, ...] = ()
    heads: tuple[keras.Layer, ...] = ()
    event_shape: tuple[int, ...] | None = None
    observed: Callable[[np.ndarray], np.ndarray | None] | None = None
    declared_beta: float | None = None
    kl_can_warm_up: bool = True
    training_steps: int | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    q: Callable[[Any], Distribution] | None = None
    is_read: bool = False
    hidden_loss: str = ""

    @property
    def parts(self) -> tuple[keras.Layer, ...]:
        """Encoder, heads and decoder: the order in which data pass through them."""
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
        """The name of p(x|z), if there is only one that the model may mean."""
        return next(iter(self.likelihoods)) if len(self.likelihoods) == 1 else None

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of a batch of x, if the encoder knows it."""
        inputs = getattr(self.encoder, "inputs", None)
        expected = tuple(inputs[self.encoder_inputs.index(0)].shape) if inputs else ()
        return expected if len(expected) > 1 else None

    def __str__(self) -> str:
        rows = [self.name, *(f"  {part + ':':<10} {what}" for part, what in self._described())]
        return "\n".join(rows)

    __repr__ = __str__

    def _described(self) -> Iterator[tuple[str, str]]:
        """The name of each part, and a line about it: its origin, shapes and number of weights."""
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
        """Images in the shape of x, which may be flat or lack the axis of a single channel."""
        shape, given = (self.input_shape or ())[1:], images.shape[1:]
        flat = shape == (math.prod(given),)
        fits = flat or [n for n in shape if n != 1] == [n for n in given if n != 1]
        return images.reshape(len(images), *shape) if fits else images

    def check_shape(self, x: np.ndarray) -> None:
        """Check data against the shape that the encoder takes, if it is known.

        Raises:
            DataError: the data have another shape.
        """
        expected = self.input_shape
        if expected is not None and not fits(expected[1:], x):
            raise DataError(f"The encoder takes data of shape {expected}, received {x.shape}.")

    def conditions_of(self, labels: np.ndarray | None) -> list[np.ndarray]:
        """The labels as conditions of the model: unchanged, or one-hot if it takes more values.

        Raises:
            DataError: there are no labels or more classes, or the model takes other conditions.
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

    def data(self, x: Any, y: Any = None) -> Data:
        """Sort the arguments of `fit` into data, conditions and target.

        Args:
            x: an array; with conditions a list, a tuple or a dictionary of arrays.
            y: the target, or a list or a dictionary of one for each output; or the only condition,
                if x is a single array.

        Raises:
            DataError: they are not arrays of one length, or do not fit the model.
        """
        named = self._by_name(x)
        arrays = keras.tree.flatten(x) if named is None else named
        is_condition = y is not None and len(arrays) == len(self.conditions) == 1
        arrays += [y] if is_condition else []
        targets = [] if y is None else keras.tree.flatten(y)
        for array in [*arrays, *targets]:
            check_array(array, axes=1)
        if len(arrays) != 1 + len(self.conditions):
            shapes = f" of shape {', '.join(map(str, self.conditions))}" if self.conditions else ""
            raise DataError(
                f"Expected x and {len(self.conditions)} condition(s){shapes}, received "
                f"{len(arrays)} array(s). Pass them together, as to fit: [x, labels], or by "
                "the names of the inputs: {'x': x, 'c': c}."
            )
        shape, given = self.input_shape, list(arrays)
        fitting = (n for n, one in enumerate(given) if shape and fits(shape[1:], one))
        place = 0 if named is not None else next(fitting, 0)
        data = given.pop(place)
        check_array(data)
        self.check_shape(data)
        conditions = []
        for shape in self.conditions:
            # Named conditions are in order already.
            places = range(len(given) if named is None else 1)
            found = next((n for n in places if fits(shape, given[n])), None)
            if found is None:
                received = ", ".join(str(one.shape) for one in given)
                raise DataError(f"Expected a condition of shape {shape}, received {received}.")
            conditions.append(given.pop(found))
        target = data if y is None or is_condition else _target_of(targets, data)
        for array in (*conditions, *targets):
            if len(array) != len(data):
                is_target = any(array is one for one in targets) and not is_condition
                what = "target" if is_target else "condition"
                raise DataError(
                    f"Expected a {what} for each of {len(data)} data, received {len(array)}."
                )
        observed = None if self.observed is None else self.observed(data)
        if self.condition_names:
            x = {"x": data, **dict(zip(self.condition_names, conditions, strict=True))}
        return Data(data, tuple(conditions), target, x, y, observed)

    def _by_name(self, x: Any) -> list[Any] | None:
        """X and the conditions in order, if a dictionary has their names; else None."""
        names = ["x", *self.condition_names]
        if not isinstance(x, Mapping) or set(x) != set(names):
            return None
        return [x[name] for name in names]

    def outputs(
        self, x: np.ndarray, conditions: Sequence[np.ndarray] = (), training: bool = False
    ) -> Any:
        """The encoder's outputs, as tensors in its structure."""
        given = [[x, *conditions][n] for n in self.encoder_inputs]
        return _call(self.encoder, given, training)

    def encode(
        self, x: np.ndarray, conditions: Sequence[np.ndarray] = (), training: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Mu and log_var, each (n, *latent_shape); log_var is None for an autoencoder."""
        mu, log_var = self.posterior(self.outputs(x, conditions, training))
        return ops.convert_to_numpy(mu), None if log_var is None else ops.convert_to_numpy(log_var)

    def decode(
        self, z: np.ndarray, conditions: Sequence[np.ndarray] = (), training: bool = False
    ) -> Any:
        """The decoder's outputs, as arrays in its structure."""
        given = [[z, *conditions][n] for n in self.decoder_inputs]
        outputs = _call(self.decoder, given, training)
        return keras.tree.map_structure(ops.convert_to_numpy, outputs)


def _target_of(targets: Sequence[np.ndarray], data: np.ndarray) -> np.ndarray:
    """The only target, or the only one of as many values as a datum: what is reconstructed.

    Raises:
        DataError: several targets may be it, or none.
    """
    fitting = [one for one in targets if len(targets) == 1 or one[0].size == data[0].size]
    if len(fitting) != 1:
        shapes = ", ".join(str(one.shape) for one in targets)
        raise DataError(
            f"Expected one target with {data[0].size} values for each datum, the one to "
            f"reconstruct, received targets of shape {shapes}."
        )
    return fitting[0]


def _call(layer: keras.Layer, inputs: Sequence[Any], training: bool) -> Any:
    tensors = [ops.convert_to_tensor(one) for one in inputs]
    given = tensors if len(tensors) > 1 else tensors[0]
    structure = getattr(layer, "input", None) if getattr(layer, "inputs", None) else None
    if isinstance(structure, dict):
        given = keras.tree.pack_sequence_as(structure, tensors)
    if "training" in inspect.signature(layer.call).parameters:
        return layer(given, training=training)
    return layer(given)


def _layers(network: keras.Layer) -> Iterator[keras.Layer]:
    """The layers of a network, those of inner networks included, in order."""
    inner = getattr(network, "layers", None)
    if not inner:
        yield network
        return
    for layer in inner:
        yield from _layers(layer)
