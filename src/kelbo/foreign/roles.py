"""Which part of a file is q(z|x), and which is p(x|z)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kelbo.diagnosis.subject import (
    SIGMA_WAY_OUT,
    is_named_as_parameter,
    is_named_as_sigma,
    named_mu_and_log_var,
)
from kelbo.errors import RunError
from kelbo.foreign.graph import Network, Output
from kelbo.foreign.rebuild import CodeNeededError, needed_code


@dataclass(frozen=True)
class Encoder:
    """The part of a network that leads to the parameters of q(z|x).

    Attributes:
        network: from x to them, and perhaps further.
        mu, log_var: the tensors.
    """

    network: Network
    mu: Output
    log_var: Output

    def __str__(self) -> str:
        return f"{self.network.name!r} up to {self.mu.layer} and {self.log_var.layer}"


@dataclass(frozen=True)
class Decoder:
    """The part of a network that leads from z to x.

    Attributes:
        network: the network; z may be in its midst.
        z, x: the tensors.
    """

    network: Network
    z: Output
    x: Output

    def __str__(self) -> str:
        whole = (self.z,) == self.network.inputs
        way = "" if whole else f" from {self.z.layer} to {self.x.layer}"
        return f"{self.network.name!r}{way}"


def encoders_in(network: Network) -> Iterator[Encoder]:
    """Where mu and log_var may be, the likelier first.

    They are the outputs with these names; the first two outputs of a network that is called
    encoder, as the books order them; or what a layer gets from two layers with these names, as a
    Sampling layer does.

    Raises:
        RunError: order alone says that an output is mu or log_var, and it seems to be sigma.
    """
    outputs = [output for _, output in network.outputs]
    named = named_mu_and_log_var([name for name, _ in network.outputs])
    pairs = set(_named_arguments(network))
    if named is not None:
        yield Encoder(network, outputs[named[0]], outputs[named[1]])
    elif network.is_called("encoder") and not network.named and len(outputs) in (2, 3):
        sigma = next((one.layer for one in outputs[:2] if _is_sigma(network, one)), None)
        if sigma is None:
            yield Encoder(network, outputs[0], outputs[1])
        elif len(pairs) != 1:
            raise RunError(
                f"Expected mu and log_var = log sigma^2 as the first two outputs of "
                f"{network.name!r}; {sigma!r} seems to be sigma, log sigma or a variance. "
                f"{SIGMA_WAY_OUT}"
            )
    if len(pairs) == 1:
        yield Encoder(network, *pairs.pop())


def _is_sigma(network: Network, output: Output) -> bool:
    entry = network.layers[output.layer]
    return is_named_as_sigma(
        output.layer, entry["class_name"], str(entry["config"].get("activation"))
    )


def _named_arguments(network: Network) -> Iterator[tuple[Output, Output]]:
    """Mu and log_var, wherever one layer gets both."""
    for layer, entry in network.layers.items():
        for call in range(len(entry["inbound_nodes"])):
            sources = network.sources(Output(layer, call, 0))
            named = named_mu_and_log_var([_known_as(network, source) for source in sources])
            if named is not None:
                yield sources[named[0]], sources[named[1]]


def _known_as(network: Network, output: Output) -> str:
    """The name of a tensor's layer; of a layer with one source, as a clip, perhaps the source's."""
    sources = network.sources(output)
    names = [output.layer, *(source.layer for source in sources if len(sources) == 1)]
    return next((name for name in names if is_named_as_parameter(name)), output.layer)


def decoder_of(networks: Sequence[Network], encoder: Encoder, latent_dim: int) -> Decoder:
    """The decoder that belongs to an encoder.

    It is the network that is called so; or all that comes after z in a network that holds the
    encoder; or the only other network that takes (batch, latent_dim).

    Raises:
        CodeNeededError: what comes after z needs code that is not Keras's.
        RunError: there is no decoder, or more than one.
    """
    found = [_whole(network) for network in networks if network.is_called("decoder")][:1]
    if not found:
        found = [after for network in networks for after in _after_z(network, encoder)]
    if not found:
        found = [_whole(network) for network in _beside(networks, encoder, latent_dim)]
    if len(found) != 1:
        raise RunError(
            f"Expected one decoder, a network from z of {latent_dim} dimensions to x, found "
            f"{len(found)}; one that is named decoder is it."
        )
    return found[0]


def _whole(network: Network) -> Decoder:
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise RunError(
            f"Expected a decoder from z alone to x alone; {network.name!r} has "
            f"{len(network.inputs)} input(s) and {len(network.outputs)} output(s)."
        )
    return Decoder(network, network.inputs[0], network.outputs[0][1])


def _after_z(network: Network, encoder: Encoder) -> list[Decoder]:
    """What a network makes of the z that it draws from mu and log_var, in one place or in more."""
    inner = network.layer_of(encoder.network)
    if network is encoder.network:
        parameters = {encoder.mu, encoder.log_var}
    elif inner is not None:
        given = [output for _, output in encoder.network.outputs]
        among = [given.index(one) for one in (encoder.mu, encoder.log_var) if one in given]
        parameters = {Output(inner, 0, index) for index in among}
    else:
        return []

    def is_drawn(output: Output) -> bool:
        if output.layer == inner:
            return output not in parameters
        calls = network.calls_before([output], given=())
        drawn_from = {parameter._replace(number=0) for parameter in parameters}
        return len(network.sources(output)) > 1 and drawn_from.issubset(calls)

    needed = {name: needed_code(entry) for name, entry in network.layers.items()}
    stops = {name for name, code in needed.items() if code is not None}
    found, refused = [], []
    for _, output in network.outputs:
        # A last layer of the model's own hands the reconstruction on and adds the loss.
        for x in network.sources(output) if output.layer in stops else [output]:
            starts = network.starts(x, stops)
            of_code = {start for start in starts if start.layer in stops}
            if not of_code or starts == {x}:
                continue
            drawn = {start for start in of_code if is_drawn(start)}
            if len(starts) == 1 and drawn:
                found.append(Decoder(network, drawn.pop(), x))
            else:
                reasons = [needed[start.layer] for start in sorted(of_code - drawn)]
                refused.append((*reasons, f"{x.layer!r} gets more than z")[0])
    if refused and not found:
        raise CodeNeededError(f"what follows z cannot be told: {refused[0]}")
    return found


def _beside(networks: Sequence[Network], encoder: Encoder, latent_dim: int) -> list[Network]:
    """The networks that take z, and are neither in the encoder nor around it, nor in another."""
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
        if [network.shape(given)[1:] for given in network.inputs] == [(latent_dim,)]
        and not any(network.is_within(other) for other in others)
    ]
