"""The parts of a VAE that a diagnosis looks at: kelbo's own, or those of any Keras 3 model."""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.clinic.anatomy.memory import LiveNetwork, attributes, networks_in
from kelbo.clinic.anatomy.names import is_named_as_sigma, named_input, named_mu_and_log_var
from kelbo.clinic.anatomy.roles import (
    TO_LOG_VAR,
    Encoder,
    RoleError,
    Roles,
    find_decoder,
    find_encoder,
    whole_decoder,
)
from kelbo.clinic.diagnosis.data import Data, check_array
from kelbo.distributions import Bernoulli, Normal
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import DataError, UsageError
from kelbo.likelihoods import Likelihood
from kelbo.likelihoods.logits import ends_in_sigmoid
from kelbo.objectives import ELBO
from kelbo.posteriors import DeterministicPosterior, Posterior
from kelbo.support import REAL, UNIT_INTERVAL, Support

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
        supports: name of the likelihood -> where x may lie.
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
    supports: dict[str, Support]
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
    x: Any = None,
) -> Subject:
    """Find the parts of a model.

    Args:
        model: kelbo's, or any keras.Model that is a VAE; what is a subject already is returned.
        encoder: x -> mu, log_var and perhaps z; for a model without an attribute or a layer
            `encoder`.
        decoder: z -> x, likewise.
        x: data, whose shape a model needs that has its networks in methods encode and decode.

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
    return _of_keras(model, encoder, decoder, x)


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
        prior=None if model.prior is None else model.prior.distribution(model.prior.call({})),
        supports={name: likelihood.support},
        heads=tuple(head for head in heads if head is not None),
        declared_beta=model.current_beta,
        kl_can_warm_up=isinstance(model.objective, ELBO),
        training_steps=_training_steps(model),
    )


def _of_keras(
    model: keras.Model, encoder: keras.Layer | None, decoder: keras.Layer | None, x: Any
) -> Subject:
    is_passed, is_any_passed = encoder is not None, encoder is not None or decoder is not None
    encoder, decoder = encoder or _part(model, "encoder"), decoder or _part(model, "decoder")
    refused = None
    if not is_passed and getattr(encoder, "outputs", None):
        try:
            _places(encoder, _output(encoder), _input_shapes(decoder))
        except UsageError as error:  # it may be what comes before mu and log_var
            encoder, refused = None, error
    networks, posterior = list(networks_in(model)), None
    origin: dict[str, str] = {}
    # A decoder that is made here takes z first.
    z = None if decoder is not None else 0
    if encoder is None or decoder is None:
        try:
            parts = _by_structure(networks, encoder, decoder)
        except RoleError as error:
            by_methods = None if is_any_passed or encoder is not None else _by_methods(model, x)
            if by_methods is None:
                raise refused or _not_found(model, error) from error
            parts, z = by_methods, 0
        encoder, decoder, posterior, origin = parts
    matched = _matched(encoder, decoder, networks, z)
    z = matched.get("decoder_inputs", (0,)).index(0)
    z_shape = _input_shapes(decoder)[z]
    return Subject(
        name=_in_words(model),
        model=model,
        encoder=encoder,
        decoder=decoder,
        posterior=posterior or (lambda outputs: _mu_and_log_var(encoder, z_shape, outputs)),
        likelihoods=_likelihoods(decoder),
        prior=Normal(0.0, 0.0),
        supports=_supports(decoder),
        training_steps=_training_steps(model),
        origin=origin,
        **matched,
    )


# Encoder and decoder; what makes mu and log_var of an encoder that was found; and the origin.
_Parts = tuple[
    keras.Layer, keras.Layer, Callable[[Any], tuple[Tensor, Tensor]] | None, dict[str, str]
]


def _by_methods(model: keras.Model, x: Any) -> _Parts | None:
    """The parts of a model that has its networks in methods encode(x) and decode(z), or None.

    Raises:
        UsageError: they take more, or cannot be called on symbolic tensors.
    """
    encode, decode = (getattr(model, name, None) for name in ("encode", "decode"))
    arrays = keras.tree.flatten(x)
    is_one = len(arrays) == 1 and isinstance(arrays[0], np.ndarray)
    if encode is None or decode is None or not is_one:
        return None
    try:
        given = keras.Input(arrays[0].shape[1:])
        whole = keras.Model(given, encode(given), name="encoder")
        from_x = next(find_encoder(list(networks_in(whole)), Roles(encoder="encoder")))
        encoder = from_x.network.part(from_x.inputs, from_x.wanted)
        is_built = all(layer.built for _, layer in attributes(model))
        if from_x.mu == from_x.second and not is_built:
            raise RoleError(
                "Not all layers are built, so it is not known whether decode takes half of what "
                "encode gives."
            )
        z = keras.Input(from_x.latent_shape(encoder))
        decoder = keras.Model(z, decode(z))
    except RoleError as error:
        raise _not_found(model, error) from error
    except Exception as error:  # whatever the author's code may have against symbolic tensors
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UsageError(
            f"The methods encode and decode of {model.name!r} cannot be called on keras.Input "
            f"({reason}). Write them with layers and keras.ops, without functions of TensorFlow, "
            "JAX or PyTorch: encode(x) to mu and log_var, decode(z) to x. Or pass the networks: "
            "kelbo.diagnose(model, x, encoder=..., decoder=...)."
        ) from error
    origin = {"encoder": f"encode(x), {from_x}", "decoder": "decode(z)"}
    return encoder, decoder, from_x.parameters, origin


def _by_structure(
    networks: Sequence[LiveNetwork], encoder: keras.Layer | None, decoder: keras.Layer | None
) -> _Parts:
    """What is missing of encoder and decoder, as parts of the model's networks, whose layers they
    share; with what makes mu and log_var of an encoder that was found, and what was taken for it.

    Raises:
        RoleError: it cannot be told.
    """
    posterior, origin = None, dict[str, str]()
    from_x = next(find_encoder(networks, Roles())) if encoder is None else _place(networks, encoder)
    part = from_x.network.part(from_x.inputs, from_x.wanted)
    latent_shape = from_x.latent_shape(part)
    if encoder is None:
        encoder, posterior, origin["encoder"] = part, from_x.parameters, str(from_x)
    if decoder is None:
        from_z = find_decoder(networks, from_x, latent_shape, Roles())
        decoder = from_z.network.part([from_z.z, *from_z.conditions], [from_z.x])
        origin["decoder"] = str(from_z)
    elif from_x.mu == from_x.second or getattr(decoder, "inputs", None):
        whole_decoder(_network(networks, decoder), from_x, latent_shape, networks)
    return encoder, decoder, posterior, origin


def _not_found(model: keras.Model, error: RoleError) -> UsageError:
    return UsageError(
        f"The model {model.name!r} has no encoder or no decoder: no attribute and no layer of that "
        f"name is one, and its networks do not show it. {error} Pass them: "
        "kelbo.diagnose(model, x, encoder=keras.Model(images, [mu, log_var]), "
        "decoder=keras.Model(z, decoded)); of a functional model "
        'model.get_layer("NAME").output is such a tensor.'
    )


def _place(networks: Sequence[LiveNetwork], encoder: keras.Layer) -> Encoder[LiveNetwork]:
    """Where an encoder that is known gives mu and log_var: in a network of the model's, or alone.

    Raises:
        RoleError: it shows no tensors.
    """
    own = _network([], encoder)
    _, tensors = _named_tensors(encoder, _output(encoder))
    # Of the only output a decoder must take half.
    mu, second = (0, 0) if len(tensors) == 1 else _places(encoder, _output(encoder), [])
    for network in (*networks, own):
        outputs = {id(tensor): output for output, tensor in network.tensors.items()}
        if id(tensors[mu]) in outputs and id(tensors[second]) in outputs:
            return Encoder(network, outputs[id(tensors[mu])], outputs[id(tensors[second])])
    raise RoleError(f"The outputs of {encoder.name!r} are not made in it.")


def _network(networks: Sequence[LiveNetwork], layer: keras.Layer) -> LiveNetwork:
    """A part that is known, among the model's networks or alone.

    Raises:
        RoleError: it is no functional or sequential network.
    """
    # Alone it is inside of no other.
    alone = (replace(one, path=("passed",)) for one in networks_in(layer) if one.layer is layer)
    network = next((one for one in (*networks, *alone) if one.layer is layer), None)
    if network is None:
        raise RoleError(
            f"{layer.name!r} is no functional or sequential network, and does not show its tensors."
        )
    return network


def _matched(
    encoder: keras.Layer,
    decoder: keras.Layer,
    networks: Sequence[LiveNetwork] = (),
    z: int | None = None,
) -> dict[str, Any]:
    """Which input of the two networks is x, z and which condition: by shapes, calls and names.

    Args:
        encoder: the network.
        decoder: likewise.
        networks: those of the model; one may call the decoder.
        z: the place of z, where it is known.

    Raises:
        UsageError: it cannot be told.
    """
    of_encoder, of_decoder = _input_shapes(encoder), _input_shapes(decoder)
    if len(of_encoder) == len(of_decoder) == 1:
        return {}
    for one, other in ((encoder, decoder), (decoder, encoder)):
        if len(_input_shapes(one)) > 1 and not getattr(other, "inputs", None):
            raise UsageError(
                f"{one.name!r} takes {len(_input_shapes(one))} inputs, and {other.name!r} is no "
                "functional model, so it does not show whether it takes a condition, too. Pass "
                "functional models as encoder=, decoder=: with x = keras.Input(shape), and label "
                "and z alike, encoder=keras.Model([x, label], model.encoder([x, label])), "
                "decoder=keras.Model([z, label], model.decoder([z, label]))."
            )
    x = _place_of_x(encoder, decoder)
    z = _place_of_z(encoder, decoder, networks) if z is None else z
    conditions = [shape for n, shape in enumerate(of_encoder) if n != x]
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


def _place_of_x(encoder: keras.Model, decoder: keras.Model) -> int:
    """The input of the encoder that is x: what has the shape, else the size, of a reconstruction;
    where that does not tell, what is called so.
    """
    shapes, made = _input_shapes(encoder), tuple(decoder.outputs[0].shape[1:])
    alike = [n for n, shape in enumerate(shapes) if shape == made]
    size = _size(made)
    alike = alike or [n for n, shape in enumerate(shapes) if size and _size(shape) == size]
    alike = alike or list(range(len(shapes)))
    names = [encoder.inputs[n].name for n in alike]
    place = 0 if len(alike) == 1 else named_input("x", names)
    if place is None:
        raise UsageError(
            f"Expected one input of the encoder {encoder.name!r} that may be x, but "
            f"{' and '.join(names)} may, and no name tells which. Pass an encoder with names: with "
            'x = keras.Input(shape, name="x") and label = keras.Input(shape, name="label"), '
            "encoder=keras.Model([x, label], encoder([x, label]))."
        )
    return alike[place]


def _place_of_z(encoder: keras.Model, decoder: keras.Model, networks: Sequence[LiveNetwork]) -> int:
    """The input of the decoder that is z."""
    if len(_input_shapes(decoder)) == 1:
        return 0
    try:
        from_x, network = _place(networks, encoder), _network(networks, decoder)
        latent_shape = from_x.latent_shape(from_x.network.part(from_x.inputs, from_x.wanted))
        z = whole_decoder(network, from_x, latent_shape, networks).z
    except RoleError as error:
        raise UsageError(
            f'{error} Pass a decoder with names: with z = keras.Input(shape, name="z") and label = '
            'keras.Input(shape, name="label"), decoder=keras.Model([z, label], decoder([z, '
            "label])), called with both in its own order."
        ) from error
    return network.inputs.index(z)


def _half(shape: Sequence[int | None]) -> tuple[float | None, ...] | None:
    """The shape of one z, where the last axis of the encoder's only output holds mu and log_var."""
    if len(shape) < 2 or shape[-1] is None:
        return None
    return (*shape[1:-1], shape[-1] / 2)


def _size(shape: Sequence[int | None]) -> int | None:
    known = [size for size in shape if size is not None]
    return math.prod(known) if len(known) == len(shape) else None


def _input_shapes(network: keras.Layer | None) -> list[tuple[int | None, ...]]:
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
        decoder: z, and perhaps conditions after it, to x.
        posterior: as in `Subject`.
        likelihood: what the decoder's output means: PROBABILITIES, LOGITS, GAUSSIAN, or None where
            nothing says it.
        training_steps: as in `Subject`.
        origin: likewise.
    """
    meant = _likelihoods(decoder) if likelihood is None else {likelihood: _LIKELIHOODS[likelihood]}
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
        **_matched(encoder, decoder, z=0),
        training_steps=training_steps,
        origin=origin,
    )


def _supports(decoder: keras.Layer) -> dict[str, Support]:
    if _likelihoods(decoder) is _OF_TWO_OUTPUTS:
        return dict.fromkeys(_OF_TWO_OUTPUTS, REAL)
    # A sigmoid never gives another value, whatever the loss compares it with.
    squared = UNIT_INTERVAL if _is_sigmoid(decoder) else REAL
    return {PROBABILITIES: UNIT_INTERVAL, LOGITS: UNIT_INTERVAL, GAUSSIAN: squared}


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


def _normal(outputs: Any, to_log_var: str) -> Distribution:
    mean, second = keras.tree.flatten(outputs)
    return Normal(mean, TO_LOG_VAR[to_log_var](second), len(mean.shape) - 1)


def _likelihoods(decoder: keras.Layer) -> dict[str, Callable[[Any], Distribution]]:
    two = len(getattr(decoder, "outputs", None) or ()) == 2
    return _OF_TWO_OUTPUTS if two else _LIKELIHOODS


# What the two outputs of a decoder may mean.
_OF_TWO_OUTPUTS: dict[str, Callable[[Any], Distribution]] = {
    "Gaussian of mean and log_var": lambda outputs: _normal(outputs, "log_var"),
    "Gaussian of mean and log sigma": lambda outputs: _normal(outputs, "log_sigma"),
}
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
    encoder: keras.Layer, z_shape: tuple[int | None, ...], outputs: Any
) -> tuple[Tensor, Tensor]:
    """Mu and log_var of the outputs of an encoder whose decoder takes z of a shape."""
    first, second = _places(encoder, outputs, [z_shape])
    _, tensors = _named_tensors(encoder, outputs)
    if first == second:
        return tuple(ops.split(tensors[first], 2, axis=-1))
    return tensors[first], tensors[second]


def _output(network: keras.Model) -> Any:
    """The symbolic outputs of a functional or sequential network, in their structure."""
    return getattr(network, "_functional", network).output


def _named_tensors(encoder: keras.Layer, outputs: Any) -> tuple[list[str], list[Tensor]]:
    if isinstance(outputs, dict):
        return list(outputs), list(outputs.values())
    tensors = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    return list(getattr(encoder, "output_names", ())), tensors


def _places(
    encoder: keras.Layer, outputs: Any, taken: Sequence[tuple[int | None, ...]]
) -> tuple[int, int]:
    """The places of mu and log_var among the outputs: by their names, else the first two of
    several, as the books order them; one place, where a decoder takes half of the only output.

    Args:
        encoder: what gives the outputs.
        outputs: tensors, or symbolic ones.
        taken: the shapes of what the decoder takes, without the batch.

    Raises:
        UsageError: they are not there, or not of one shape.
    """
    names, tensors = _named_tensors(encoder, outputs)
    named = named_mu_and_log_var(names)
    if named is not None and len(tensors) == len(names):
        places = named
    elif len(tensors) in (2, 3) and not isinstance(outputs, dict):
        sigma = _sigma_in(encoder)
        if sigma is not None:
            raise UsageError(
                f"Expected an encoder whose first two outputs are mu and log_var = log sigma^2; "
                f"{sigma!r} of {encoder.name!r} seems to be sigma, log sigma or a variance. "
                f"{SIGMA_WAY_OUT}"
            )
        places = (0, 1)
    elif len(tensors) == 1 and _half(tensors[0].shape) in taken:
        return 0, 0
    else:
        is_whole = len(tensors) == 1 and tuple(tensors[0].shape[1:]) in taken
        whole = "the decoder takes it whole: this looks like a plain autoencoder, without them. "
        raise UsageError(
            f"Expected an encoder that returns mu, log_var and perhaps z, or a dict with these "
            f"names; {encoder.name!r} returns {len(tensors)} output(s)"
            f"{', and ' + whole if is_whole else '. '}Pass one that does: "
            "kelbo.diagnose(model, x, encoder=keras.Model(images, [mu, log_var]))."
        )
    shapes = [tuple(tensors[place].shape) for place in places]
    if shapes[0] != shapes[1] or len(shapes[0]) < 2:
        raise UsageError(
            f"Expected mu and log_var of one shape (n, latent_dim), or (n, ..., channels), "
            f"received {shapes[0]} and {shapes[1]} from the encoder {encoder.name!r}."
        )
    return places


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
