"""Find the parts of a VAE: of kelbo's, or of any Keras 3 model."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

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
from kelbo.clinic.diagnosis.moments import moments
from kelbo.clinic.diagnosis.subject import Subject
from kelbo.clinic.diagnosis.training_steps import steps_taken
from kelbo.distributions import Normal, PointMass
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import UsageError
from kelbo.inputs import joined
from kelbo.model import LatentVariableModel
from kelbo.objectives import ELBO
from kelbo.priors import Prior
from kelbo.single_group import SingleGroup

# Names of the attributes in which people keep their networks, beside encoder and decoder.
_NAMES = {
    "encoder": re.compile(r"^(enc\w*|\w*encoder\w*|inference\w*|recognition\w*)$", re.IGNORECASE),
    "decoder": re.compile(r"^(dec\w*|\w*decoder\w*|generat\w*)$", re.IGNORECASE),
}
# Encoder, decoder, a function from the outputs of an encoder that was found to mu and log_var, and
# the origin (see `Subject`).
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
        model: a model of kelbo's, or any keras.Model that is a VAE. A subject is returned as it is.
        encoder: x -> mu, log_var and perhaps z; for a model without an attribute or a layer
            `encoder`.
        decoder: z -> x; likewise.
        x: data. Only their shape is used, for a model whose networks are methods encode and decode.

    Raises:
        UsageError: it is not a model, or the parts cannot be found.
    """
    if isinstance(model, Subject):
        return model
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"Expected a keras.Model, received {model!r}. A file is loaded with kelbo.load_model, "
            "or, where its code is not at hand, read with kelbo.read_model."
        )
    if isinstance(model, SingleGroup):
        return _of_kelbo(model)
    if isinstance(model, LatentVariableModel):
        raise UsageError(
            f"kelbo.diagnose looks at models with one group of latents; {_in_words(model)} is "
            "another. model.evaluate(x, return_dict=True) has its ELBO, reconstruction and KL."
        )
    return _of_keras(model, encoder, decoder, x)


def subject_of_networks(
    name: str,
    encoder: keras.Model,
    decoder: keras.Model,
    posterior: Callable[[Any], tuple[Tensor, Tensor]],
    likelihood: str | None,
    training_steps: int | None,
    origin: Mapping[str, str],
    model: keras.Model | None = None,
    hidden_loss: str = "",
) -> Subject:
    """A subject made of two networks that were read from a file.

    Args:
        name: as in `Subject`.
        encoder: from x, and perhaps conditions, to the tensors that `posterior` takes.
        decoder: from z, and perhaps conditions after it, to x.
        posterior: as in `Subject`.
        likelihood: the meaning of the decoder's output: PROBABILITIES, LOGITS or GAUSSIAN; None if
            nothing tells.
        training_steps: the steps that the optimiser has taken, or None.
        origin: as in `Subject`.
        model: the whole model, compiled, which shares their weights; None if the file does not
            show it.
        hidden_loss: as in `Subject`.
    """
    meant = (
        likelihoods_of(decoder) if likelihood is None else {likelihood: OF_ONE_OUTPUT[likelihood]}
    )
    supports = supports_of(decoder)
    return Subject(
        name=name,
        model=model,
        hidden_loss=hidden_loss,
        is_read=True,
        encoder=encoder,
        decoder=decoder,
        posterior=posterior,
        likelihoods=meant,
        prior=_standard_normal,
        supports={name: supports[name] for name in meant},
        **match_inputs(encoder, decoder, z=0),
        training_steps=steps_taken(training_steps, (encoder, decoder)),
        origin=origin,
    )


def _of_kelbo(model: SingleGroup) -> Subject:
    posterior, likelihood, prior = model.posterior, model.likelihood, model.prior

    def q_of_z(outputs: Any) -> Distribution:
        return posterior.distribution(posterior.parameters(keras.tree.flatten(outputs)))

    def parameters_of_q(outputs: Any) -> tuple[Tensor, Tensor | None]:
        q = q_of_z(outputs)
        if isinstance(q, PointMass):
            return q.mean(), None
        if type(q) is Normal:
            return q.mu, q.log_var
        mean, log_var = moments(q)
        if not posterior.on_sphere:
            return mean, log_var
        # In units of the uniform distribution's deviation, as everywhere in those of N(0, 1)'s.
        d = mean.shape[-1]
        return mean * math.sqrt(d), log_var + math.log(d)

    def p_of_z(prior: Prior, x: np.ndarray, conditions: Sequence[np.ndarray]) -> Distribution:
        given = dict(zip(names, map(ops.convert_to_tensor, conditions), strict=True))
        encoded = model.encode_once(joined(ops.convert_to_tensor(x), given), training=False)
        return prior.distribution(encoded["prior"])

    def observed(x: np.ndarray) -> np.ndarray | None:
        mask = posterior.observed(ops.convert_to_tensor(x))
        if mask is None:
            return None
        mask = ops.convert_to_numpy(mask)
        return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))

    def places(network: keras.Model) -> tuple[int, ...]:
        # The name of a single input says nothing.
        inputs = [each.name for each in network.inputs]
        return tuple(1 + names.index(one) if one in names else 0 for one in inputs)

    def p_of_x(outputs: Any) -> Distribution:
        return likelihood.distribution(likelihood.parameters(keras.tree.flatten(outputs)))

    name = type(likelihood).__name__
    names = list(model.context_shapes)
    is_known = type(q_of_z(_zeros(posterior.network))) in (Normal, PointMass)
    return Subject(
        name=_in_words(model),
        model=model,
        encoder=posterior.network,
        decoder=likelihood.network,
        posterior=parameters_of_q,
        likelihoods={name: p_of_x},
        prior=None if prior is None else partial(p_of_z, prior),
        supports={name: likelihood.support},
        encoder_inputs=places(posterior.network),
        decoder_inputs=places(likelihood.network),
        conditions=tuple(model.context_shapes.values()),
        condition_names=tuple(names),
        q=None if is_known else q_of_z,
        heads=tuple(posterior.heads()),
        event_shape=likelihood.event_shape,
        observed=observed,
        declared_beta=model.current_beta,
        kl_can_warm_up=isinstance(model.objective, ELBO),
        training_steps=steps_taken(_optimizer_steps(model), (posterior, likelihood)),
    )


def _zeros(network: keras.Model) -> list[Tensor]:
    """Outputs of one datum, for a look at what kind of distribution is made of them."""
    return [ops.zeros((1, *output.shape[1:])) for output in network.outputs]


def _of_keras(
    model: keras.Model, encoder: keras.Layer | None, decoder: keras.Layer | None, x: Any
) -> Subject:
    is_passed, is_any_passed = encoder is not None, encoder is not None or decoder is not None
    encoder, decoder = encoder or _part(model, "encoder"), decoder or _part(model, "decoder")
    refused = None
    if not is_passed and getattr(encoder, "outputs", None):
        try:
            places_of_mu_and_log_var(encoder, symbolic_outputs(encoder), input_shapes(decoder))
        except UsageError as error:  # it may end before mu and log_var
            encoder, refused = None, error
    networks, posterior = list(networks_in(model)), None
    origin: dict[str, str] = {}
    # A decoder that is built here takes z first.
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
        prior=_standard_normal,
        supports=supports_of(decoder),
        training_steps=steps_taken(_optimizer_steps(model), (encoder, decoder)),
        origin=origin,
        **matched,
    )


def _by_methods(model: keras.Model, x: Any) -> _Parts | None:
    """The parts of a model with methods encode(x) and decode(z); None without them.

    Raises:
        UsageError: the methods take more arguments, or cannot be called on symbolic tensors.
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
    except Exception as error:  # the author's code may raise anything on symbolic tensors
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
    """Find the missing one of encoder and decoder, or both, in the graphs of a model's networks.

    The parts share the layers of these networks.

    Raises:
        RoleError: the graphs do not tell.
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
    """The attribute or the layer of this name, else the only one with a similar name, or None."""
    parts = [getattr(model, name, None), *(one for one in model.layers if one.name == name)]
    found = [part for part in parts if isinstance(part, keras.Layer)]
    alike = [part for other, part in attributes(model) if _NAMES[name].match(other)]
    return found[0] if found else alike[0] if len(alike) == 1 else None


def _optimizer_steps(model: keras.Model) -> int | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else int(optimizer.iterations)


def _standard_normal(x: np.ndarray, conditions: Sequence[np.ndarray]) -> Distribution:
    return Normal(0.0, 0.0)


def _in_words(model: keras.Model) -> str:
    return f"{type(model).__name__} {model.name!r}"
