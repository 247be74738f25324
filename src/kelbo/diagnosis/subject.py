"""The parts of a VAE that a diagnosis looks at: kelbo's own, or those of any Keras 3 model."""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.anatomy.memory import attributes, networks_in
from kelbo.anatomy.names import is_named_as_sigma, named_mu_and_log_var
from kelbo.anatomy.roles import RoleError, Roles, find_decoder, find_encoder
from kelbo.diagnosis.data import Data, check_array
from kelbo.distributions import Bernoulli, Normal
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import DataError, UsageError
from kelbo.likelihoods import Likelihood
from kelbo.likelihoods.logits import ends_in_sigmoid
from kelbo.objectives import ELBO
from kelbo.posteriors import DeterministicPosterior, Posterior

# Keras's own clip of the probabilities in a cross-entropy.
_SMALLEST_PROBABILITY = 1e-7

SIGMA_WAY_OUT = (
    "Pass an encoder that gives log_var, as encoder=keras.Model(x, [mu, 2 * log_sigma]), or call "
    "the output log_var if it is."
)
# How people call the networks that they keep as attributes, beside encoder and decoder.
_NAMES = {
    "encoder": re.compile(r"^(enc\w*|\w*encoder\w*|inference\w*|recognition\w*)$", re.IGNORECASE),
    "decoder": re.compile(r"^(dec\w*|\w*decoder\w*|generat\w*)$", re.IGNORECASE),
}


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
        if expected is not None and not _fits(expected[1:], x):
            raise DataError(f"The encoder takes data of shape {expected}, received {x.shape}.")

    def conditions_of(self, labels: np.ndarray | None) -> list[np.ndarray]:
        """Labels as the model takes them: as they are, or one-hot, where it takes more values.

        Raises:
            DataError: there are none, the model takes something else, or there are more classes.
        """
        shapes = ", ".join(map(str, self.conditions))
        if labels is None or len(self.conditions) != 1 or len(self.conditions[0]) > 1:
            what = "these data have none" if labels is None else "these are labels"
            raise DataError(
                f"The model takes conditions of shape {shapes} beside x, and {what}. Pass them in "
                "Python: kelbo.diagnose(kelbo.read_model(path), [x, conditions])."
            )
        (classes,) = self.conditions[0] or (1,)
        if classes in (None, 1):
            return [labels.reshape(len(labels), *self.conditions[0])]
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
                f"{len(arrays)} array(s). Pass them as to fit: kelbo.diagnose(model, [x, labels])."
            )
        shape, given = self.input_shape, list(arrays)
        place = next((n for n, one in enumerate(given) if shape and _fits(shape[1:], one)), 0)
        data = given.pop(place)
        check_array(data)
        self.check_shape(data)
        conditions = []
        for shape in self.conditions:
            fitting = [n for n, one in enumerate(given) if _fits(shape, one)]
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


def subject_of(
    model: keras.Model | Subject,
    encoder: keras.Layer | None = None,
    decoder: keras.Layer | None = None,
) -> Subject:
    """Find the parts of a model.

    Args:
        model: kelbo's, or any keras.Model that is a VAE; what is a subject already is returned.
        encoder: x -> mu, log_var and perhaps z; for a model without an attribute or a layer
            `encoder`.
        decoder: z -> x, likewise.

    Raises:
        UsageError: the model is none, or the parts cannot be found.
    """
    if isinstance(model, Subject):
        return model
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"Expected a keras.Model, received {model!r}. A file is loaded with kelbo.load_model, "
            "or, where its code is not at hand, read with kelbo.read_model."
        )
    posterior, likelihood = getattr(model, "posterior", None), getattr(model, "likelihood", None)
    if isinstance(posterior, Posterior) and isinstance(likelihood, Likelihood):
        return _of_kelbo(model, posterior, likelihood)
    return _of_keras(model, encoder, decoder)


def _of_kelbo(model: Any, posterior: Posterior, likelihood: Likelihood) -> Subject:
    def parameters_of_q(outputs: Any) -> tuple[Tensor, Tensor | None]:
        parameters = posterior.parameters(keras.tree.flatten(outputs))
        if isinstance(posterior, DeterministicPosterior):
            return parameters["z"], None
        return parameters["mu"], parameters["log_var"]

    def p_of_x(outputs: Any) -> Distribution:
        return likelihood.distribution(likelihood.parameters(keras.tree.flatten(outputs)))

    name = type(likelihood).__name__
    heads = [getattr(posterior, head, None) for head in ("z", "mu", "log_var")]
    return Subject(
        name=_in_words(model),
        model=model,
        encoder=posterior.network,
        decoder=likelihood.network,
        posterior=parameters_of_q,
        likelihoods={name: p_of_x},
        prior=None if model.prior is None else model.prior.distribution(posterior),
        supports={name: likelihood.support},
        heads=tuple(head for head in heads if head is not None),
        declared_beta=model.current_beta,
        kl_can_warm_up=isinstance(model.objective, ELBO),
        training_steps=_training_steps(model),
    )


def _of_keras(
    model: keras.Model, encoder: keras.Layer | None, decoder: keras.Layer | None
) -> Subject:
    encoder, decoder = encoder or _part(model, "encoder"), decoder or _part(model, "decoder")
    posterior, origin = None, {}
    if encoder is None or decoder is None:
        found = _by_structure(model)
        posterior, origin = (found[2], found[3]) if encoder is None else (None, {})
        encoder, decoder = encoder or found[0], decoder or found[1]
    return Subject(
        name=_in_words(model),
        model=model,
        encoder=encoder,
        decoder=decoder,
        posterior=posterior or (lambda outputs: _mu_and_log_var(encoder, decoder, outputs)),
        likelihoods=_LIKELIHOODS,
        prior=Normal(0.0, 0.0),
        supports=_supports(decoder),
        training_steps=_training_steps(model),
        origin=origin,
        **_matched(encoder, decoder),
    )


def _by_structure(
    model: keras.Model,
) -> tuple[keras.Model, keras.Model, Callable[[Any], tuple[Tensor, Tensor]], dict[str, str]]:
    """Encoder and decoder as parts of the model's networks; they share its layers."""
    networks = list(networks_in(model))
    try:
        from_x = next(find_encoder(networks, Roles()))
        encoder = from_x.network.part(from_x.inputs, from_x.wanted)
        from_z = find_decoder(networks, from_x, from_x.latent_shape(encoder), Roles())
    except RoleError as error:
        raise UsageError(
            f"The model {model.name!r} has no encoder or no decoder: neither an attribute nor a "
            f"layer of that name is one, and its networks do not show them. {error} Pass them: "
            "kelbo.diagnose(model, x, encoder=keras.Model(images, [mu, log_var]), "
            "decoder=keras.Model(z, decoded)); of a functional model "
            'model.get_layer("NAME").output is such a tensor.'
        ) from error
    decoder = from_z.network.part([from_z.z, *from_z.conditions], [from_z.x])
    return encoder, decoder, from_x.parameters, {"encoder": str(from_x), "decoder": str(from_z)}


def _matched(encoder: keras.Layer, decoder: keras.Layer) -> dict[str, Any]:
    """Which input of the two networks is x, z and which condition; by shapes, else by order."""
    of_encoder, of_decoder = _input_shapes(encoder), _input_shapes(decoder)
    if len(of_encoder) == len(of_decoder) == 1:
        return {}
    made = getattr(decoder, "output_shape", None)
    size = _size(made[1:]) if isinstance(made, tuple) else None
    sizes = [_size(shape) for shape in of_encoder]
    x = sizes.index(size) if size is not None and size in sizes else 0
    conditions = [shape for n, shape in enumerate(of_encoder) if n != x]
    codes = {tuple(tensor.shape[1:]) for tensor in encoder.outputs}
    z = next((n for n, shape in enumerate(of_decoder) if shape in codes), 0)
    unused = dict(enumerate(conditions, 1))
    decoder_inputs = []
    for n, shape in enumerate(of_decoder):
        number = 0 if n == z else next((one for one in unused if unused[one] == shape), None)
        if number is None:
            conditions.append(shape)
            number = len(conditions)
        unused.pop(number, None)
        decoder_inputs.append(number)
    numbers = iter(range(1, len(of_encoder)))
    return {
        "encoder_inputs": tuple(0 if n == x else next(numbers) for n in range(len(of_encoder))),
        "decoder_inputs": tuple(decoder_inputs),
        "conditions": tuple(conditions),
    }


def _half(shape: Sequence[int]) -> tuple[float, ...]:
    """The shape of one z, where the last axis of the encoder's only output holds mu and log_var."""
    return (*shape[1:-1], shape[-1] / 2)


def _size(shape: Sequence[int | None]) -> int | None:
    known = [size for size in shape if size is not None]
    return math.prod(known) if len(known) == len(shape) else None


def _input_shapes(network: keras.Layer) -> list[tuple[int | None, ...]]:
    """Of a network that knows them, without the batch; of another one input of no known shape."""
    return [tuple(one.shape[1:]) for one in getattr(network, "inputs", None) or ()] or [()]


def subject_of_networks(
    name: str,
    encoder: keras.Model,
    decoder: keras.Model,
    posterior: Callable[[Any], tuple[Tensor, Tensor]],
    likelihood: str | None,
    training_steps: int | None,
    origin: Mapping[str, str],
) -> Subject:
    """A subject of which nothing is known but its networks.

    Args:
        name: what it is, in a few words.
        encoder: x, and perhaps conditions, to what `posterior` makes mu and log_var of.
        decoder: z, and perhaps conditions, to x.
        posterior: as in `Subject`.
        likelihood: what the decoder's output means: PROBABILITIES, LOGITS, GAUSSIAN, or None where
            nothing says it.
        training_steps: as in `Subject`.
        origin: likewise.
    """
    meant = _LIKELIHOODS if likelihood is None else {likelihood: _LIKELIHOODS[likelihood]}
    supports = _supports(decoder)
    return Subject(
        name=name,
        model=None,
        encoder=encoder,
        decoder=decoder,
        posterior=posterior,
        likelihoods=meant,
        prior=Normal(0.0, 0.0),
        supports={name: supports[name] for name in meant},
        **_matched(encoder, decoder),
        training_steps=training_steps,
        origin=origin,
    )


def _supports(decoder: keras.Layer) -> dict[str, tuple[float, float]]:
    anywhere = (-np.inf, np.inf)
    # A sigmoid never gives another value, whatever the loss compares it with.
    squared = (0.0, 1.0) if _is_sigmoid(decoder) else anywhere
    return {PROBABILITIES: (0.0, 1.0), LOGITS: (0.0, 1.0), GAUSSIAN: squared}


def _training_steps(model: keras.Model) -> int | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else int(optimizer.iterations) or None


def _in_words(model: keras.Model) -> str:
    return f"{type(model).__name__} {model.name!r}"


PROBABILITIES = "Bernoulli from probabilities"
LOGITS = "Bernoulli from logits"
GAUSSIAN = "Gaussian of variance 1"


def _from_probabilities(outputs: Tensor) -> Distribution:
    p = ops.clip(outputs, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return Bernoulli(ops.log(p) - ops.log1p(-p), len(p.shape) - 1)


# What the output of a decoder may mean.
_LIKELIHOODS: dict[str, Callable[[Any], Distribution]] = {
    PROBABILITIES: _from_probabilities,
    LOGITS: lambda outputs: Bernoulli(outputs, len(outputs.shape) - 1),
    GAUSSIAN: lambda outputs: Normal(outputs, ops.zeros_like(outputs), len(outputs.shape) - 1),
}


def _part(model: keras.Model, name: str) -> keras.Layer | None:
    """The attribute or the layer of this name, else the only attribute of such a name, or None."""
    parts = [getattr(model, name, None), *(one for one in model.layers if one.name == name)]
    found = [part for part in parts if isinstance(part, keras.Layer)]
    alike = [part for other, part in attributes(model) if _NAMES[name].match(other)]
    return found[0] if found else alike[0] if len(alike) == 1 else None


def _sigma_in(encoder: keras.Layer) -> str | None:
    """The one of the first two outputs of a functional encoder that seems to be sigma, or None."""
    steps = {step.name: step for step in getattr(encoder, "operations", ())}
    for name in list(getattr(encoder, "output_names", ()))[:2]:
        step = steps.get(name)
        function = getattr(getattr(step, "activation", None), "__name__", "")
        if is_named_as_sigma(name, type(step).__name__, function):
            return name
    return None


def _mu_and_log_var(
    encoder: keras.Layer, decoder: keras.Layer, outputs: Any
) -> tuple[Tensor, Tensor]:
    """The two outputs by their names, else the first two of several, as the books order them."""
    if isinstance(outputs, dict):
        names, tensors = list(outputs), list(outputs.values())
    else:
        tensors = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        names = list(getattr(encoder, "output_names", ()))
    named = named_mu_and_log_var(names)
    if named is not None and len(tensors) == len(names):
        chosen = tensors[named[0]], tensors[named[1]]
    elif len(tensors) in (2, 3) and not isinstance(outputs, dict):
        sigma = _sigma_in(encoder)
        if sigma is not None:
            raise UsageError(
                f"Expected an encoder whose first two outputs are mu and log_var = log sigma^2; "
                f"{sigma!r} of {encoder.name!r} seems to be sigma, log sigma or a variance. "
                f"{SIGMA_WAY_OUT}"
            )
        chosen = tensors[0], tensors[1]
    elif len(tensors) == 1 and _input_shapes(decoder)[0] == _half(tensors[0].shape):
        chosen = ops.split(tensors[0], 2, axis=-1)
    else:
        raise UsageError(
            f"Expected an encoder that returns mu, log_var and perhaps z, or a dict with these "
            f"names; {encoder.name!r} returns {len(tensors)} output(s). Pass one that does: "
            "kelbo.diagnose(model, x, encoder=keras.Model(images, [mu, log_var]))."
        )
    shapes = [tuple(tensor.shape) for tensor in chosen]
    if shapes[0] != shapes[1] or len(shapes[0]) < 2:
        raise UsageError(
            f"Expected mu and log_var of one shape (n, latent_dim), or (n, ..., channels), "
            f"received {shapes[0]} and {shapes[1]} from the encoder {encoder.name!r}."
        )
    return chosen


def _call(layer: keras.Layer, inputs: Sequence[Any], training: bool) -> Any:
    tensors = [ops.convert_to_tensor(one) for one in inputs]
    given = tensors if len(tensors) > 1 else tensors[0]
    if "training" in inspect.signature(layer.call).parameters:
        return layer(given, training=training)
    return layer(given)


def _fits(shape: Sequence[int | None], data: np.ndarray) -> bool:
    return len(shape) == data.ndim - 1 and all(
        size in (None, found) for size, found in zip(shape, data.shape[1:], strict=True)
    )


def _layers(network: keras.Layer) -> Iterator[keras.Layer]:
    """The layers of a network and of the networks inside it, in order."""
    inner = getattr(network, "layers", None)
    if not inner:
        yield network
        return
    for layer in inner:
        yield from _layers(layer)


def _is_sigmoid(decoder: keras.Layer) -> bool:
    return isinstance(decoder, keras.Model) and ends_in_sigmoid(decoder)
