"""Which outputs of an encoder are mu and log_var."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kelbo.clinic.anatomy.find_encoder import Encoder
from kelbo.clinic.anatomy.memory import LiveNetwork, network_of
from kelbo.clinic.anatomy.names import is_named_as_sigma, named_mu_and_log_var
from kelbo.clinic.anatomy.roles import RoleError
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError

SIGMA_WAY_OUT = (
    "Pass an encoder that gives log_var, as encoder=keras.Model(x, [mu, 2 * log_sigma]), or call "
    "the output log_var if it is."
)


def mu_and_log_var(
    encoder: keras.Layer, z_shape: tuple[int | None, ...], outputs: Any
) -> tuple[Tensor, Tensor]:
    """Mu and log_var of the outputs of an encoder whose decoder takes z of a shape."""
    first, second = places_of_mu_and_log_var(encoder, outputs, [z_shape])
    _, tensors = _named_tensors(encoder, outputs)
    if first == second:
        return tuple(ops.split(tensors[first], 2, axis=-1))
    return tensors[first], tensors[second]


def places_of_mu_and_log_var(
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


def locate(networks: Sequence[LiveNetwork], encoder: keras.Layer) -> Encoder[LiveNetwork]:
    """Where an encoder that is known gives mu and log_var: in a network of the model's, or alone.

    Raises:
        RoleError: it shows no tensors.
    """
    own = network_of([], encoder)
    outputs = symbolic_outputs(encoder)
    _, tensors = _named_tensors(encoder, outputs)
    # Of the only output a decoder must take half.
    mu, second = (
        (0, 0)
        if len(tensors) == 1
        else places_of_mu_and_log_var(encoder, symbolic_outputs(encoder), [])
    )
    for network in (*networks, own):
        made = {id(tensor): output for output, tensor in network.tensors.items()}
        if id(tensors[mu]) in made and id(tensors[second]) in made:
            return Encoder(network, made[id(tensors[mu])], made[id(tensors[second])])
    raise RoleError(f"The outputs of {encoder.name!r} are not made in it.")


def symbolic_outputs(network: keras.Model) -> Any:
    """The symbolic outputs of a functional or sequential network, in their structure."""
    return getattr(network, "_functional", network).output


def _named_tensors(encoder: keras.Layer, outputs: Any) -> tuple[list[str], list[Tensor]]:
    if isinstance(outputs, dict):
        return list(outputs), list(outputs.values())
    tensors = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    return list(getattr(encoder, "output_names", ())), tensors


def _half(shape: Sequence[int | None]) -> tuple[float | None, ...] | None:
    """The shape of one z, where the last axis of the encoder's only output holds mu and log_var."""
    if len(shape) < 2 or shape[-1] is None:
        return None
    return (*shape[1:-1], shape[-1] / 2)


def _sigma_in(encoder: keras.Layer) -> str | None:
    """The one of the first two outputs of a functional encoder that seems to be sigma, or None."""
    steps = {step.name: step for step in getattr(encoder, "operations", ())}
    for name in list(getattr(encoder, "output_names", ()))[:2]:
        step = steps.get(name)
        function = getattr(getattr(step, "activation", None), "__name__", "")
        if is_named_as_sigma(name, type(step).__name__, function):
            return name
    return None
