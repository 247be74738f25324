"""Which part of a model is q(z|x), and which is p(x|z)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import permutations
from typing import Any, Generic, TypeVar

import keras
from keras import ops

from kelbo.clinic.anatomy.graph import Network, Output
from kelbo.clinic.anatomy.names import (
    is_named_as_parameter,
    is_named_as_sigma,
    named_input,
    named_mu_and_log_var,
)
from kelbo.errors import UsageError

# What the second parameter of q(z|x) may be -> log_var of it.
TO_LOG_VAR: dict[str, Callable[[Any], Any]] = {
    "log_var": lambda log_var: log_var,
    "log_sigma": lambda log_sigma: 2.0 * log_sigma,
    "sigma": lambda sigma: 2.0 * ops.log(sigma),
    "var": ops.log,
}
# Layers that are listed where nothing was found.
_MOST_LISTED = 12
# What hands on the one tensor that it gets as what it is: in bounds, in another form, normalised.
_KEEPERS = frozenset(
    {
        "ActivityRegularization",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Flatten",
        "Identity",
        "Maximum",
        "Minimum",
        "Reshape",
        "StopGradient",
    }
)
# What makes sigma of log_var, beside the exponential, and scales noise with it.
_SCALES = frozenset({"Divide", "Multiply", "Power", "Rescaling", "Sqrt", "TrueDivide"})

Net = TypeVar("Net", bound=Network)
# Of one datum or one z, without the batch.
Shape = tuple[int | None, ...]


class RoleError(Exception):
    """Why a role cannot be told: a sentence, and what was found."""


@dataclass(frozen=True)
class Roles:
    """What a person says of a model: names of layers, each for a role, or None.

    Attributes:
        encoder: the network that gives mu and log_var.
        mu: the layer that gives the posterior's means.
        log_var, log_sigma, sigma, var: the layer that gives log sigma^2, log sigma, sigma or
            sigma^2; one of them at most.
        decoder: the network from z to x.
        z: the layer that draws z, in a network that holds both encoder and decoder.
    """

    encoder: str | None = None
    mu: str | None = None
    log_var: str | None = None
    log_sigma: str | None = None
    sigma: str | None = None
    var: str | None = None
    decoder: str | None = None
    z: str | None = None

    def __post_init__(self) -> None:
        """Refuse names that contradict each other.

        Raises:
            UsageError: there is more than one second parameter, or not both it and mu.
        """
        said = [kind for kind in TO_LOG_VAR if getattr(self, kind) is not None]
        if len(said) > 1 or (len(said) == 1) != (self.mu is not None):
            received = [*(["mu"] if self.mu is not None else []), *said]
            raise UsageError(
                f"Expected mu and one of {', '.join(TO_LOG_VAR)}, received "
                f"{' and '.join(received)}."
            )

    @classmethod
    def of(cls, said: Mapping[str, str]) -> "Roles":
        """The roles that a person has named.

        Raises:
            UsageError: there is no such role, or they contradict each other.
        """
        known = [role.name for role in fields(cls)]
        unknown = sorted(set(said) - set(known))
        if unknown:
            raise UsageError(f"There is no role {unknown[0]!r}; there are {', '.join(known)}.")
        return cls(**said)

    @property
    def second(self) -> tuple[str, str] | None:
        """What the second parameter is, and the name of its layer."""
        said = ((kind, getattr(self, kind)) for kind in TO_LOG_VAR)
        return next(((kind, name) for kind, name in said if name is not None), None)


@dataclass(frozen=True)
class Encoder(Generic[Net]):
    """The part of a network that leads to the parameters of q(z|x).

    Attributes:
        network: from x to them, and perhaps further.
        mu: the tensor.
        second: the tensor of the second parameter; mu's own where one tensor has both, in halves.
        kind: what the second is, a key of `TO_LOG_VAR`.
        known: how it is known which is which.
    """

    network: Net
    mu: Output
    second: Output
    kind: str = "log_var"
    known: str = ""

    def __str__(self) -> str:
        if self.mu == self.second:
            ends = f"{self.mu.layer}, whose halves are mu and {self.kind}"
        else:
            ends = f"{self.mu.layer} and {self.second.layer}"
        return f"{self.network.name!r} up to {ends}{self.known}"

    @property
    def wanted(self) -> list[Output]:
        """The tensors, each once."""
        return list(dict.fromkeys((self.mu, self.second)))

    @property
    def inputs(self) -> list[Output]:
        """What of the network's inputs leads to them."""
        starts = set().union(*(self.network.starts(output) for output in self.wanted))
        return [given for given in self.network.inputs if given in starts]

    def latent_shape(self, encoder: keras.Model) -> Shape:
        """The shape of one z, (latent_dim,) mostly, of the network that gives the tensors.

        Raises:
            RoleError: mu and log_var have two shapes, or no axis of latent dimensions.
        """
        shapes = [tuple(tensor.shape) for tensor in encoder.outputs]
        if shapes[0] != shapes[-1] or len(shapes[0]) < 2 or shapes[0][-1] is None:
            raise RoleError(
                f"Expected mu and log_var of one shape (n, latent_dim), or (n, ..., channels), "
                f"received {' and '.join(map(str, shapes))} from {self.network.name!r}."
            )
        shape = shapes[0][1:]
        return (*shape[:-1], shape[-1] // 2) if self.mu == self.second else shape

    def parameters(self, outputs: Any) -> tuple[Any, Any]:
        """Mu and log_var of the tensors."""
        if self.mu == self.second:
            whole = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
            mu, second = ops.split(whole, 2, axis=-1)
        else:
            mu, second = outputs
        return mu, TO_LOG_VAR[self.kind](second)


@dataclass(frozen=True)
class Decoder(Generic[Net]):
    """The part of a network that leads from z to x.

    Attributes:
        network: the network; z may be in its midst.
        z, x: the tensors.
        conditions: what else leads to x.
    """

    network: Net
    z: Output
    x: Output
    conditions: tuple[Output, ...] = ()

    def __str__(self) -> str:
        whole = self.z in self.network.inputs
        way = "" if whole else f" from {self.z.layer} to {self.x.layer}"
        return f"{self.network.name!r}{way}"


def find_encoder(networks: Sequence[Net], told: Roles) -> Iterator[Encoder[Net]]:
    """Where q(z|x) may be, the likelier first.

    Raises:
        RoleError: it is nowhere, in two places, or seems to give another parameter.
    """
    among = networks
    if told.encoder is not None:
        among = [network for network in networks if network.is_called(told.encoder)]
        if not among:
            raise RoleError(f"There is no network {told.encoder!r}.{_list(networks)}")
    if told.second is not None:
        yield _told_encoder(among, told.mu, *told.second)
        return
    found = [list(_named(network, told)) for network in among]
    found = [places for places in found if places]
    for search in (_drawn_from, _in_order, _halves):
        found = found or [places for one in among if (places := list(search(one)))]
    called = [places for places in found if places[0].network.is_called("encoder")]
    found = called or found
    if len(found) != 1:
        raise RoleError(
            "Expected one encoder, a network that gives mu and log_var or has layers of these "
            f"names (z_mean and z_log_var will do), but {_count(found)}.{_list(networks)}"
        )
    yield from found[0]


def _told_encoder(networks: Sequence[Net], mu: str | None, kind: str, second: str) -> Encoder[Net]:
    """The place that a person has named."""
    found = [
        Encoder(network, tensor, other, kind, f", which was said to be {kind}")
        for network in networks
        if (tensor := _tensor(network, mu)) and (other := _tensor(network, second))
    ]
    if len(found) != 1:
        what = "No network has" if not found else "More than one network has"
        raise RoleError(f"{what} both {mu!r} and {second!r}.{_list(networks)}")
    return found[0]


def _tensor(network: Network, name: str | None) -> Output | None:
    """What a layer gives in its last call, or an output of this name."""
    outputs = dict(network.outputs)
    if name is None:
        return None
    if name in network.steps:
        return Output(name, network.last_call(name), 0)
    return outputs.get(name)


def _named(network: Net, told: Roles) -> Iterator[Encoder[Net]]:
    """By the names of outputs; by the order of an encoder's outputs; by what one layer gets."""
    outputs = [output for _, output in network.outputs]
    named = named_mu_and_log_var([name for name, _ in network.outputs])
    pairs = {*_named_arguments(network), *_drawn_inline(network)}
    if named is not None:
        yield Encoder(network, outputs[named[0]], outputs[named[1]])
    elif network.is_called(told.encoder or "encoder") and len(pairs) != 1:
        yield from _in_order(network)
    if len(pairs) == 1:
        yield Encoder(network, *pairs.pop())


def _named_arguments(network: Network) -> Iterator[tuple[Output, Output]]:
    """Mu and log_var, wherever one layer gets both."""
    for step in network.steps.values():
        for sources in step.calls:
            named = named_mu_and_log_var([_known_as(network, source) for source in sources])
            if named is not None:
                yield sources[named[0]], sources[named[1]]


def _drawn_inline(network: Network) -> Iterator[tuple[Output, Output]]:
    """Mu and log_var, wherever mu and the exponential of log_var meet, as in mu + sigma noise."""
    for step in network.steps.values():
        for sources in step.calls if step.kind == "Add" or step.needed else ():
            for mu, scaled in permutations(sources, 2):
                for log_var in _exponents(network, scaled):
                    names = [_known_as(network, mu), _known_as(network, log_var)]
                    if named_mu_and_log_var(names) == (0, 1):
                        yield mu, log_var


def _exponents(network: Network, scaled: Output) -> Iterator[Output]:
    """The tensors with the name of a parameter whose exponential is a factor of another tensor."""
    seen, rest = set(), [(scaled, False)]
    while rest:
        output, is_power = place = rest.pop()
        if place in seen:
            continue
        seen.add(place)
        step = network.steps[output.layer]
        is_exp = step.kind == "Exp" or (step.kind, step.activation) == ("Activation", "exponential")
        if is_named_as_parameter(_known_as(network, output)):
            yield from [output] if is_power else []
        elif is_exp or step.kind in _SCALES | _KEEPERS:
            rest += [(source, is_power or is_exp) for source in network.sources(output)]


def _known_as(network: Network, output: Output) -> str:
    """The name of a tensor's layer; of what only hands a tensor on, as a clip, that tensor's."""
    step, sources = network.steps[output.layer], network.sources(output)
    if step.kind == "Mean":  # keras.ops.mean, which has this name of itself
        return ""
    is_linear = (step.kind, step.activation) == ("Activation", "linear")
    keeps = len(sources) == 1 and (step.kind in _KEEPERS or is_linear)
    if is_named_as_parameter(output.layer) or not keeps:
        return output.layer
    return _known_as(network, sources[0])


def _drawn_from(network: Net) -> Iterator[Encoder[Net]]:
    """The two that a layer of the author's gets, as a Sampling layer does, and no other two."""
    pairs = {
        sources
        for step in network.steps.values()
        if step.needed
        for sources in step.calls
        if len(sources) == 2 and _are_siblings(network, *sources)
    }
    if len(pairs) == 1:
        yield from _by_order(network, *pairs.pop())


def _in_order(network: Net) -> Iterator[Encoder[Net]]:
    """The first two outputs of two or three, as the books order them."""
    outputs = [output for _, output in network.outputs]
    if not network.named and len(outputs) in (2, 3) and _are_siblings(network, *outputs[:2]):
        yield from _by_order(network, *outputs[:2])


def _are_siblings(network: Network, one: Output, other: Output) -> bool:
    """Whether two tensors may be mu and log_var: of one shape, and neither made of the other."""
    # What only leaves the network has no shape in a file.
    shapes = [shape for output in (one, other) if (shape := network.shapes.get(output))]
    return (
        all(len(shape) > 1 and shape == shapes[0] for shape in shapes)
        and not network.depends(one, other)
        and not network.depends(other, one)
        and all(network.sources(output) for output in (one, other))
    )


def _by_order(network: Net, mu: Output, second: Output) -> Iterator[Encoder[Net]]:
    sigma = next((one.layer for one in (mu, second) if _is_sigma(network, one)), None)
    if sigma is not None:
        raise RoleError(
            f"Expected mu and log_var = log sigma^2 as the first two outputs of "
            f"{network.name!r}; {sigma!r} seems to be sigma, log sigma or a variance."
        )
    yield Encoder(network, mu, second, known=", in this order")


def _is_sigma(network: Network, output: Output) -> bool:
    step = network.steps[output.layer]
    return is_named_as_sigma(output.layer, step.kind, step.activation)


def _halves(network: Net) -> Iterator[Encoder[Net]]:
    """The only output of an encoder, of which a decoder then takes half as many values."""
    if network.is_called("encoder") and len(network.outputs) == 1:
        yield Encoder(network, network.outputs[0][1], network.outputs[0][1])


def find_decoder(
    networks: Sequence[Net], encoder: Encoder[Net], latent_shape: Shape, told: Roles
) -> Decoder[Net]:
    """The decoder that belongs to an encoder.

    It is the network that is called so; or all that comes after z in a network that holds the
    encoder; or the only other network that takes (batch, *latent_shape).

    Raises:
        RoleError: there is no decoder, or more than one.
    """
    if told.z is not None:
        return _after_layer(networks, told.z)
    name = told.decoder or "decoder"
    called = next((one for one in networks if one.is_called(name)), None)
    if called is not None:
        return whole_decoder(called, encoder, latent_shape, networks)
    if told.decoder is not None:
        raise RoleError(f"There is no network {told.decoder!r}.{_list(networks)}")
    found = [after for one in networks for after in _after_z(one, encoder, latent_shape)]
    if not found:
        found = [
            whole_decoder(one, encoder, latent_shape, networks)
            for one in _beside(networks, encoder, latent_shape)
        ]
    if len(found) != 1:
        raise RoleError(
            f"Expected one decoder, a network from z of shape {latent_shape} to x and from "
            f"nothing else of x, but {_count(found)}; one that is named decoder is it."
            f"{_autoencoder(networks, encoder, latent_shape)}{_list(networks)}"
        )
    return found[0]


def whole_decoder(
    network: Net, encoder: Encoder[Net], latent_shape: Shape, networks: Sequence[Net]
) -> Decoder[Net]:
    """A network that is a decoder: from z, and perhaps a condition, to x.

    Args:
        network: the network.
        encoder: what gives mu and log_var.
        latent_shape: of one z.
        networks: all there are; one of them may call the network, and show what it gets.

    Raises:
        RoleError: it does not take z, or it cannot be told which of its inputs is z.
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
    """The input of a decoder that is z, of those that have its shape."""
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
    """The inputs of a network that get something of mu or log_var where another one calls it."""
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
    """That a decoder takes the encoder's only output whole, and not in halves, or ""."""
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
    """What a network makes of the output of a layer."""
    for network in networks:
        z = _tensor(network, name)
        ends = [output for _, output in network.outputs if z and network.depends(output, z)]
        if z is not None and len(ends) == 1:
            others = network.starts(ends[0], stops={z}) - {z}
            return Decoder(network, z, ends[0], _among_inputs(network, others))
    raise RoleError(f"No network leads from a layer {name!r} to one output.{_list(networks)}")


def _after_z(network: Net, encoder: Encoder[Net], latent_shape: Shape) -> list[Decoder[Net]]:
    """What a network makes of the z that it draws from mu and log_var, in one place or in more."""
    inner = network.layer_of(encoder.network)
    if network is not encoder.network and inner is None:
        return []
    parameters, given = _within(network, encoder, inner)
    found = []
    for _, output in network.outputs:
        # A last layer of the author's own hands the reconstruction on and adds the loss.
        is_code = network.steps[output.layer].needed is not None
        for x in (output, *(network.sources(output) if is_code else ())):
            z = _gate(network, x, parameters, inner, latent_shape)
            others = set() if z is None else network.starts(x, stops={z}) - {z}
            # A condition may come past z, and x may not.
            if z is not None and not others.issuperset(given):
                found.append(Decoder(network, z, x, _among_inputs(network, others)))
                break
    # A KL that is an output, too, is made of mu and log_var, but not of noise.
    return [one for one in found if _is_drawn(one, parameters, inner)] or found


def _is_drawn(decoder: Decoder[Any], parameters: set[Output], inner: str | None) -> bool:
    """Whether z may be random: made in the encoder, by code of the author's, or of an input."""
    network, z = decoder.network, decoder.z
    passed = network.passed(z, stops=parameters) - parameters
    steps = [(network.steps[one.layer], network.sources(one)) for one in passed]
    return z.layer == inner or any(
        step.needed or step.kind == "GaussianNoise" or not sources for step, sources in steps
    )


def _within(
    network: Network, encoder: Encoder[Any], inner: str | None
) -> tuple[set[Output], set[Output]]:
    """Mu and log_var, and what the encoder gets, as tensors of the network that has the encoder."""
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
    """Z: the first tensor that mu and log_var must pass on every way to x; None without one."""
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
        if latent_shape in [network.shapes.get(given, ())[1:] for given in network.inputs]
        and len(network.outputs) == 1
        and not any(network.is_within(other) for other in others)
    ]


def _count(found: Sequence[Any]) -> str:
    return f"{len(found)} were found" if found else "none was found"


def _list(networks: Sequence[Network]) -> str:
    """What there is: the networks, and in a single one the layers that may give mu and log_var."""
    if not networks:
        return (
            " There is no functional or sequential network. One that a class makes for itself is "
            "in a file only where its get_config gives it."
        )
    if len(networks) > 1:
        return f" There are: {'; '.join(map(str, networks))}."
    network = networks[0]
    flat = [
        f"{output.layer} {shape}"
        for output, shape in network.shapes.items()
        if len(shape) == 2 and network.sources(output)
    ]
    return f" There is {network}, with {', '.join(flat[-_MOST_LISTED:])}."
