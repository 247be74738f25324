"""Find p(x|z) in the networks of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

from kelbo.clinic.anatomy.find_encoder import Encoder
from kelbo.clinic.anatomy.graph import Network, Output
from kelbo.clinic.anatomy.names import named_input
from kelbo.clinic.anatomy.roles import Net, RoleError, Roles, Shape, counted, listed, tensor_of


@dataclass(frozen=True)
class Decoder(Generic[Net]):
    """The part of a network that leads from z to x.

    Attributes:
        network: the network; z may be an inner tensor of it.
        z, x: the tensors.
        conditions: the other inputs that lead to x.
    """

    network: Net
    z: Output
    x: Output
    conditions: tuple[Output, ...] = ()

    def __str__(self) -> str:
        whole = self.z in self.network.inputs
        way = "" if whole else f" from {self.z.layer} to {self.x.layer}"
        return f"{self.network.name!r}{way}"


def find_decoder(
    networks: Sequence[Net], encoder: Encoder[Net], latent_shape: Shape, told: Roles
) -> Decoder[Net]:
    """Find the decoder that belongs to an encoder.

    It is the network named decoder; else everything after z in a network that holds the encoder;
    else the only other network that takes (batch, *latent_shape).

    Raises:
        RoleError: no decoder was found, or more than one.
    """
    if told.z is not None:
        return _after_layer(networks, told.z)
    name = told.decoder or "decoder"
    called = next((one for one in networks if one.is_called(name)), None)
    if called is not None:
        return whole_decoder(called, encoder, latent_shape, networks)
    if told.decoder is not None:
        raise RoleError(f"There is no network {told.decoder!r}.{listed(networks)}")
    found = [after for one in networks for after in _after_z(one, encoder, latent_shape)]
    if not found:
        found = [
            whole_decoder(one, encoder, latent_shape, networks)
            for one in _beside(networks, encoder, latent_shape)
        ]
    if len(found) != 1:
        raise RoleError(
            f"Expected one decoder, a network from z of shape {latent_shape} to x and from "
            f"nothing else of x, but {counted(found)}; one that is named decoder is it."
            f"{_autoencoder(networks, encoder, latent_shape)}{listed(networks)}"
        )
    return found[0]


def whole_decoder(
    network: Net, encoder: Encoder[Net], latent_shape: Shape, networks: Sequence[Net]
) -> Decoder[Net]:
    """A whole network as a decoder: from z, and perhaps conditions, to x.

    Args:
        network: the network.
        encoder: the part that gives mu and log_var.
        latent_shape: the shape of one z.
        networks: all networks; one that calls this network shows what it gets.

    Raises:
        RoleError: the network does not take z, or several inputs may be z.
    """
    taken = [given for given in network.inputs if network.shapes.get(given, ())[1:] == latent_shape]
    if not taken or len(network.outputs) != 1:
        raise RoleError(
            f"Expected a decoder from z of shape {latent_shape} to x alone, received {network}."
            f"{_autoencoder([network], encoder, latent_shape)}"
        )
    z = _z_among(taken, network, encoder, networks)
    others = {given for given in network.inputs if given != z}
    return Decoder(network, z, network.outputs[0][1], _among_inputs(network, others))


def _z_among(
    taken: Sequence[Output], network: Net, encoder: Encoder[Net], networks: Sequence[Net]
) -> Output:
    """The input that is z, among those with its shape."""
    if len(taken) == 1:
        return taken[0]
    called = [given for given in taken if given in _given_of_q(network, encoder, networks)]
    if len(called) == 1:
        return called[0]
    names = [given.layer for given in taken]
    place = named_input("z", names)
    if place is None:
        raise RoleError(
            f"Expected one input of {network.name!r} that may be z, but {' and '.join(names)} have "
            f"its shape, and no name tells which; one that is named z is it."
        )
    return taken[place]


def _given_of_q(network: Net, encoder: Encoder[Net], networks: Sequence[Net]) -> set[Output]:
    """The inputs of a network that depend on mu or log_var where another network calls it."""
    found = set()
    for outer in networks:
        layer, inner = outer.layer_of(network), outer.layer_of(encoder.network)
        if layer is None or (inner is None and outer is not encoder.network):
            continue
        parameters = encoder.wanted if inner is None else []
        for sources in outer.steps[layer].calls:
            for given, source in zip(network.inputs, sources, strict=False):
                passed = outer.passed(source)
                if any(one.layer == inner or one in parameters for one in passed):
                    found.add(given)
    return found


def _autoencoder(networks: Sequence[Net], encoder: Encoder[Net], latent_shape: Shape) -> str:
    """A sentence if the decoder takes the encoder's only output whole, not in halves; else ""."""
    half = latent_shape[-1] or 0
    whole = [(*latent_shape[:-1], size) for size in (2 * half, 2 * half + 1)]
    for network in networks if encoder.mu == encoder.second else ():
        taken = {network.shapes.get(given, ())[1:] for given in network.inputs}
        if network is not encoder.network and not taken.isdisjoint(whole):
            return (
                f" {encoder.network.name!r} has one output, and {network.name!r} takes it whole: "
                "this looks like a plain autoencoder, which has no mu and log_var."
            )
    return ""


def _after_layer(networks: Sequence[Net], name: str) -> Decoder[Net]:
    """The part of a network after the output of a layer."""
    for network in networks:
        z = tensor_of(network, name)
        ends = [output for _, output in network.outputs if z and network.depends(output, z)]
        if z is not None and len(ends) == 1:
            others = network.starts(ends[0], stops={z}) - {z}
            return Decoder(network, z, ends[0], _among_inputs(network, others))
    raise RoleError(f"No network leads from a layer {name!r} to one output.{listed(networks)}")


def _after_z(network: Net, encoder: Encoder[Net], latent_shape: Shape) -> list[Decoder[Net]]:
    """The parts of a network after a z that it draws from mu and log_var."""
    inner = network.layer_of(encoder.network)
    if network is not encoder.network and inner is None:
        return []
    parameters, given = _within(network, encoder, inner)
    found = []
    for _, output in network.outputs:
        # The last layer may be the author's own: it returns the reconstruction and adds the loss.
        is_code = network.steps[output.layer].needed is not None
        for x in (output, *(network.sources(output) if is_code else ())):
            z = _gate(network, x, parameters, inner, latent_shape)
            others = set() if z is None else network.starts(x, stops={z}) - {z}
            # A condition may bypass z, but x may not.
            if z is not None and not others.issuperset(given):
                found.append(Decoder(network, z, x, _among_inputs(network, others)))
                break
    # The KL, which may be an output too, depends on mu and log_var but on no noise.
    return [one for one in found if _is_drawn(one, parameters, inner)] or found


def _is_drawn(decoder: Decoder[Any], parameters: set[Output], inner: str | None) -> bool:
    """Whether z may be random: drawn in the encoder, by the author's code, or from an input."""
    network, z = decoder.network, decoder.z
    passed = network.passed(z, stops=parameters) - parameters
    steps = [(network.steps[one.layer], network.sources(one)) for one in passed]
    return z.layer == inner or any(
        step.needed or step.kind == "GaussianNoise" or not sources for step, sources in steps
    )


def _within(
    network: Network, encoder: Encoder[Any], inner: str | None
) -> tuple[set[Output], set[Output]]:
    """Mu and log_var, and the encoder's inputs, as tensors of the network that holds it."""
    if inner is None:
        return set(encoder.wanted), set(encoder.inputs)
    given = [output for _, output in encoder.network.outputs]
    places = [given.index(one) for one in encoder.wanted if one in given]
    call = network.last_call(inner)
    parameters = {Output(inner, call, place) for place in places}
    return parameters, network.starts(Output(inner, call, 0))


def _gate(
    network: Network, x: Output, parameters: set[Output], inner: str | None, latent_shape: Shape
) -> Output | None:
    """Z: the first tensor on every path from mu and log_var to x; None without one."""
    order = {call: place for place, call in enumerate(network.calls_before([x]))}
    passed = network.passed(x) - parameters - {x}
    for output in sorted(passed, key=lambda one: (order[one._replace(number=0)], one.number)):
        drawn = output.layer == inner or network.passed(output).issuperset(parameters)
        shape = network.shapes.get(output)
        fits = shape is None or shape[1:] == latent_shape
        if drawn and fits and network.passed(x, stops={output}).isdisjoint(parameters):
            return output
    return None


def _among_inputs(network: Network, starts: set[Output]) -> tuple[Output, ...]:
    return tuple(given for given in network.inputs if given in starts)


def _beside(networks: Sequence[Net], encoder: Encoder[Net], latent_shape: Shape) -> list[Net]:
    """The networks that take z and lie neither inside nor around the encoder or each other."""
    others = [
        network
        for network in networks
        if network is not encoder.network
        and not network.is_within(encoder.network)
        and not encoder.network.is_within(network)
    ]
    return [
        network
        for network in others
        if latent_shape in [network.shapes.get(given, ())[1:] for given in network.inputs]
        and len(network.outputs) == 1
        and not any(network.is_within(other) for other in others)
    ]
