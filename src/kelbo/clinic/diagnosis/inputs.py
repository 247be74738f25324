"""Which input of the two networks is x, which is z, and which is a condition."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from kelbo.clinic.anatomy.find_decoder import whole_decoder
from kelbo.clinic.anatomy.memory import LiveNetwork, network_of
from kelbo.clinic.anatomy.names import named_input
from kelbo.clinic.anatomy.roles import RoleError
from kelbo.clinic.diagnosis.encoder_outputs import locate
from kelbo.errors import UsageError


def match_inputs(
    encoder: keras.Layer,
    decoder: keras.Layer,
    networks: Sequence[LiveNetwork] = (),
    z: int | None = None,
) -> dict[str, Any]:
    """Tell x, z and the conditions among the inputs of two networks, by shapes, calls and names.

    Args:
        encoder: the network from x to mu and log_var.
        decoder: the network from z to x.
        networks: the networks of the model; one may call the decoder.
        z: the index of z among the decoder's inputs, if it is known.

    Returns:
        `encoder_inputs`, `decoder_inputs` and `conditions` of a `Subject`; nothing if each network
        has one input.

    Raises:
        UsageError: neither shapes nor calls nor names tell.
    """
    of_encoder, of_decoder = input_shapes(encoder), input_shapes(decoder)
    if len(of_encoder) == len(of_decoder) == 1:
        return {}
    for one, other in ((encoder, decoder), (decoder, encoder)):
        if len(input_shapes(one)) > 1 and not getattr(other, "inputs", None):
            raise UsageError(
                f"{one.name!r} takes {len(input_shapes(one))} inputs, and {other.name!r} is no "
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
    """The index of x among the encoder's inputs.

    X has the shape of a reconstruction, else its size; if that leaves several, names decide.
    """
    shapes, made = input_shapes(encoder), tuple(decoder.outputs[0].shape[1:])
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
    """The index of z among the decoder's inputs."""
    if len(input_shapes(decoder)) == 1:
        return 0
    try:
        from_x, network = locate(networks, encoder), network_of(networks, decoder)
        latent_shape = from_x.latent_shape(from_x.network.part(from_x.inputs, from_x.wanted))
        z = whole_decoder(network, from_x, latent_shape, networks).z
    except RoleError as error:
        raise UsageError(
            f'{error} Pass a decoder with names: with z = keras.Input(shape, name="z") and label = '
            'keras.Input(shape, name="label"), decoder=keras.Model([z, label], decoder([z, '
            "label])), called with both in its own order."
        ) from error
    return network.inputs.index(z)


def _size(shape: Sequence[int | None]) -> int | None:
    known = [size for size in shape if size is not None]
    return math.prod(known) if len(known) == len(shape) else None


def input_shapes(network: keras.Layer | None) -> list[tuple[int | None, ...]]:
    """The shapes of a network's inputs, without the batch; [()] if the network does not know."""
    return [tuple(one.shape[1:]) for one in getattr(network, "inputs", None) or ()] or [()]
