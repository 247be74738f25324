"""The parts of a VAE that a diagnosis looks at: kelbo's own, or those of any Keras 3 model."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kelbo.clinic.anatomy.find_decoder import find_decoder, whole_decoder
from kelbo.clinic.anatomy.find_encoder import find_encoder
from kelbo.clinic.anatomy.memory import LiveNetwork, attributes, network_of, networks_in
from kelbo.clinic.anatomy.roles import RoleError, Roles
from kelbo.clinic.diagnosis.encoder_outputs import (
    locate,
    mu_and_log_var,
    places_of_mu_and_log_var,
    symbolic_outputs,
)
from kelbo.clinic.diagnosis.inputs import input_shapes, match_inputs
from kelbo.clinic.diagnosis.meanings import OF_ONE_OUTPUT, likelihoods_of, supports_of
from kelbo.clinic.diagnosis.subject import Subject
from kelbo.distributions import Normal
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives import ELBO
from kelbo.posteriors import DeterministicPosterior, Posterior

# How people call the networks that they keep as attributes, beside encoder and decoder.
_NAMES = {
    "encoder": re.compile(r"^(enc\w*|\w*encoder\w*|inference\w*|recognition\w*)$", re.IGNORECASE),
    "decoder": re.compile(r"^(dec\w*|\w*decoder\w*|generat\w*)$", re.IGNORECASE),
}
# Encoder and decoder; what makes mu and log_var of an encoder that was found; and the origin.
_Parts = tuple[
    keras.Layer, keras.Layer, Callable[[Any], tuple[Tensor, Tensor]] | None, dict[str, str]
]


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
    meant = (
        likelihoods_of(decoder) if likelihood is None else {likelihood: OF_ONE_OUTPUT[likelihood]}
    )
    supports = supports_of(decoder)
    return Subject(
        name=name,
        model=None,
        encoder=encoder,
        decoder=decoder,
        posterior=posterior,
        likelihoods=meant,
        prior=Normal(0.0, 0.0),
        supports={name: supports[name] for name in meant},
        **match_inputs(encoder, decoder, z=0),
        training_steps=training_steps,
        origin=origin,
    )


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
    model: keras.Model, encoder: keras.Layer | None, decoder: keras.Layer | None, x: Any
) -> Subject:
    is_passed, is_any_passed = encoder is not None, encoder is not None or decoder is not None
    encoder, decoder = encoder or _part(model, "encoder"), decoder or _part(model, "decoder")
    refused = None
    if not is_passed and getattr(encoder, "outputs", None):
        try:
            places_of_mu_and_log_var(encoder, symbolic_outputs(encoder), input_shapes(decoder))
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
    matched = match_inputs(encoder, decoder, networks, z)
    z = matched.get("decoder_inputs", (0,)).index(0)
    z_shape = input_shapes(decoder)[z]
    return Subject(
        name=_in_words(model),
        model=model,
        encoder=encoder,
        decoder=decoder,
        posterior=posterior or (lambda outputs: mu_and_log_var(encoder, z_shape, outputs)),
        likelihoods=likelihoods_of(decoder),
        prior=Normal(0.0, 0.0),
        supports=supports_of(decoder),
        training_steps=_training_steps(model),
        origin=origin,
        **matched,
    )


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
    from_x = next(find_encoder(networks, Roles())) if encoder is None else locate(networks, encoder)
    part = from_x.network.part(from_x.inputs, from_x.wanted)
    latent_shape = from_x.latent_shape(part)
    if encoder is None:
        encoder, posterior, origin["encoder"] = part, from_x.parameters, str(from_x)
    if decoder is None:
        from_z = find_decoder(networks, from_x, latent_shape, Roles())
        decoder = from_z.network.part([from_z.z, *from_z.conditions], [from_z.x])
        origin["decoder"] = str(from_z)
    elif from_x.mu == from_x.second or getattr(decoder, "inputs", None):
        whole_decoder(network_of(networks, decoder), from_x, latent_shape, networks)
    return encoder, decoder, posterior, origin


def _not_found(model: keras.Model, error: RoleError) -> UsageError:
    return UsageError(
        f"The model {model.name!r} has no encoder or no decoder: no attribute and no layer of that "
        f"name is one, and its networks do not show it. {error} Pass them: "
        "kelbo.diagnose(model, x, encoder=keras.Model(images, [mu, log_var]), "
        "decoder=keras.Model(z, decoded)); of a functional model "
        'model.get_layer("NAME").output is such a tensor.'
    )


def _part(model: keras.Model, name: str) -> keras.Layer | None:
    """The attribute or the layer of this name, else the only attribute of such a name, or None."""
    parts = [getattr(model, name, None), *(one for one in model.layers if one.name == name)]
    found = [part for part in parts if isinstance(part, keras.Layer)]
    alike = [part for other, part in attributes(model) if _NAMES[name].match(other)]
    return found[0] if found else alike[0] if len(alike) == 1 else None


def _training_steps(model: keras.Model) -> int | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else int(optimizer.iterations) or None


def _in_words(model: keras.Model) -> str:
    return f"{type(model).__name__} {model.name!r}"
