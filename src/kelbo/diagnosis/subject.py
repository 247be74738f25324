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

from kelbo.distributions import Bernoulli, Normal
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import DataError, UsageError
from kelbo.likelihoods import Likelihood
from kelbo.likelihoods.logits import ends_in_sigmoid
from kelbo.objectives import ELBO
from kelbo.posteriors import DeterministicPosterior, Posterior

# Keras's own clip of the probabilities in a cross-entropy.
_SMALLEST_PROBABILITY = 1e-7

_LOG_VAR = re.compile(r"log_?var|logvar", re.IGNORECASE)
_MU = re.compile(r"(^|_)(mu|mean)($|_|\d)", re.IGNORECASE)
# Names of sigma, its logarithm and its square, and of functions that give what is above 0.
_SIGMA = re.compile(r"sigma|std|scale|variance|^(softplus|exp|exponential)$", re.IGNORECASE)
SIGMA_WAY_OUT = (
    "Pass an encoder that gives log_var, as encoder=keras.Model(x, [mu, 2 * log_sigma]), or call "
    "the output log_var if it is."
)


@dataclass(frozen=True)
class Subject:
    """A model under diagnosis.

    Attributes:
        name: what is diagnosed, in a few words.
        model: the whole of it, which is trained; None where only its networks are known.
        encoder: the network from x to what `posterior` makes mu and log_var of.
        decoder: the network from z to what a likelihood makes a distribution of.
        posterior: the encoder's outputs -> mu and log_var, each (batch, latent_dim); log_var is
            None for an autoencoder.
        likelihoods: name -> the decoder's outputs to p(x|z). Of a model that is not kelbo's these
            are those that it may mean; `loss_weights` measures which.
        prior: p(z), or None for an autoencoder.
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
        return expected if isinstance(expected, tuple) and len(expected) > 1 else None

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
        if expected is None:
            return
        fits = len(expected) == x.ndim and all(
            size in (None, found) for size, found in zip(expected[1:], x.shape[1:], strict=True)
        )
        if not fits:
            raise DataError(f"The encoder takes data of shape {expected}, received {x.shape}.")

    def encode(self, x: np.ndarray, training: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Mu and log_var, each (n, latent_dim); log_var is None for an autoencoder."""
        mu, log_var = self.posterior(_call(self.encoder, x, training))
        return ops.convert_to_numpy(mu), None if log_var is None else ops.convert_to_numpy(log_var)

    def decode(self, z: np.ndarray, training: bool = False) -> Any:
        """The decoder's outputs as arrays, in the structure that `likelihoods` take."""
        outputs = _call(self.decoder, z, training)
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
    return _of_keras(model, _part(model, "encoder", encoder), _part(model, "decoder", decoder))


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


def _of_keras(model: keras.Model, encoder: keras.Layer, decoder: keras.Layer) -> Subject:
    return Subject(
        name=_in_words(model),
        model=model,
        encoder=encoder,
        decoder=decoder,
        posterior=lambda outputs: _mu_and_log_var(encoder, outputs),
        likelihoods=_LIKELIHOODS,
        prior=Normal(0.0, 0.0),
        supports=_supports(decoder),
        training_steps=_training_steps(model),
    )


def subject_of_networks(
    name: str,
    encoder: keras.Model,
    decoder: keras.Model,
    likelihood: str | None,
    training_steps: int | None,
    origin: Mapping[str, str],
) -> Subject:
    """A subject of which nothing is known but its networks.

    Args:
        name: what it is, in a few words.
        encoder: x -> [mu, log_var].
        decoder: z -> x.
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
        posterior=tuple,
        likelihoods=meant,
        prior=Normal(0.0, 0.0),
        supports={name: supports[name] for name in meant},
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


def _part(model: keras.Model, name: str, given: keras.Layer | None) -> keras.Layer:
    part = given if given is not None else getattr(model, name, None)
    if part is None:
        part = next((layer for layer in model.layers if layer.name == name), None)
    if not isinstance(part, keras.Layer):
        raise UsageError(
            f"The model {model.name!r} has no {name}: neither an attribute nor a layer of that "
            f"name is a Keras model. Pass it: kelbo.diagnose(model, x, encoder=..., decoder=...)."
        )
    return part


def named_mu_and_log_var(names: Sequence[str]) -> tuple[int, int] | None:
    """The places of mu and log_var among names, where each is there once."""
    log_var = [i for i, name in enumerate(names) if _LOG_VAR.search(name)]
    mu = [i for i, name in enumerate(names) if _MU.search(name) and i not in log_var]
    return (mu[0], log_var[0]) if len(mu) == len(log_var) == 1 else None


def is_named_as_parameter(name: str) -> bool:
    """Whether it is a name of mu or of log_var."""
    return bool(_MU.search(name) or _LOG_VAR.search(name))


def is_named_as_sigma(*names: str) -> bool:
    """Whether one of the names of an output, or of the function that gives it, is that of sigma,
    log sigma or a variance, which are easily taken for log_var where order alone tells.
    """
    return any(_SIGMA.search(name) and not _LOG_VAR.search(name) for name in names)


def _sigma_in(encoder: keras.Layer) -> str | None:
    """The one of the first two outputs of a functional encoder that seems to be sigma, or None."""
    steps = {step.name: step for step in getattr(encoder, "operations", ())}
    for name in list(getattr(encoder, "output_names", ()))[:2]:
        step = steps.get(name)
        function = getattr(getattr(step, "activation", None), "__name__", "")
        if is_named_as_sigma(name, type(step).__name__, function):
            return name
    return None


def _mu_and_log_var(encoder: keras.Layer, outputs: Any) -> tuple[Tensor, Tensor]:
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
    else:
        raise UsageError(
            f"Expected an encoder that returns mu, log_var and perhaps z, or a dict with these "
            f"names; {encoder.name!r} returns {len(tensors)} output(s). Pass one that does: "
            "kelbo.diagnose(model, x, encoder=keras.Model(images, [mu, log_var]))."
        )
    shapes = [tuple(tensor.shape) for tensor in chosen]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise UsageError(
            f"Expected mu and log_var of one shape (n, latent_dim), received {shapes[0]} and "
            f"{shapes[1]} from the encoder {encoder.name!r}."
        )
    return chosen


def _call(layer: keras.Layer, inputs: Any, training: bool) -> Any:
    inputs = ops.convert_to_tensor(inputs)
    if "training" in inspect.signature(layer.call).parameters:
        return layer(inputs, training=training)
    return layer(inputs)


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
