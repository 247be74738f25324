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
    "Pass an encoder that gives log_var, such as encoder=keras.Model(x, [mu, 2 * log_sigma]), or "
    "name the output log_var if it is log_var."
)


def mu_and_log_var(
    encoder: keras.Layer, z_shape: tuple[int | None, ...], outputs: Any
) -> tuple[Tensor, Tensor]:
    """Mu and log_var among an encoder's outputs, for a decoder that takes z of `z_shape`."""
    first, second = places_of_mu_and_log_var(encoder, outputs, [z_shape])
    _, tensors = _named_tensors(encoder, outputs)
    if first == second:
        return tuple(ops.split(tensors[first], 2, axis=-1))
    return tensors[first], tensors[second]


def places_of_mu_and_log_var(
    encoder: keras.Layer, outputs: Any, taken: Sequence[tuple[int | None, ...]]
) -> tuple[int, int]:
    """The indices of mu and log_var among the outputs of an encoder.

    Names decide; without them the first two of several outputs count, as in the books. A single
    output, of which the decoder takes half, holds both: both indices are 0.

    Args:
        encoder: the network.
        outputs: its outputs, as tensors or symbolic tensors.
        taken: the shapes of the decoder's inputs, without the batch.

    Raises:
        UsageError: mu and log_var are not there, or differ in shape.
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
    """Find the mu and log_var of a given encoder in the model's networks, or in its own.

    Raises:
        RoleError: the encoder has no symbolic tensors.
    """
    own = network_of([], encoder)
    outputs = symbolic_outputs(encoder)
    _, tensors = _named_tensors(encoder, outputs)
    mu = second = 0  # of a single output, the decoder must take half
    if len(tensors) > 1:
        mu, second = places_of_mu_and_log_var(encoder, outputs, [])
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
    """The shape of one z, if mu and log_var share the last axis of the encoder's only output."""
    if len(shape) < 2 or shape[-1] is None:
        return None
    return (*shape[1:-1], shape[-1] / 2)


def _sigma_in(encoder: keras.Layer) -> str | None:
    """The name of an output, among the first two, that seems to be sigma; None without one."""
    steps = {step.name: step for step in getattr(encoder, "operations", ())}
    for name in list(getattr(encoder, "output_names", ()))[:2]:
        step = steps.get(name)
        function = getattr(getattr(step, "activation", None), "__name__", "")
        if is_named_as_sigma(name, type(step).__name__, function):
            return name
    return None
