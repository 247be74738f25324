"""Find q(z|x) in the networks of a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Generic

import keras
from keras import ops

from kelbo.clinic.anatomy.graph import Network, Output
from kelbo.clinic.anatomy.names import (
    is_named_as_parameter,
    is_named_as_sigma,
    named_mu_and_log_var,
)
from kelbo.clinic.anatomy.roles import (
    TO_LOG_VAR,
    Net,
    RoleError,
    Roles,
    Shape,
    counted,
    listed,
    tensor_of,
)

# Layers and operations whose output has the meaning of their only input: bounded, reshaped, ...
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
# Operations, beside the exponential, that turn log_var into sigma and scale noise with it.
_SCALES = frozenset({"Divide", "Multiply", "Power", "Rescaling", "Sqrt", "TrueDivide"})


@dataclass(frozen=True)
class Encoder(Generic[Net]):
    """The part of a network that leads to the parameters of q(z|x).

    Attributes:
        network: the network, which may lead further.
        mu: the tensor mu.
        second: the tensor of the second parameter; mu's own if one tensor holds both in halves.
        kind: the meaning of the second parameter, a key of `TO_LOG_VAR`.
        known: how the two were told apart, in words.
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
        """The tensors of mu and the second parameter, each once."""
        return list(dict.fromkeys((self.mu, self.second)))

    @property
    def inputs(self) -> list[Output]:
        """The inputs of the network that lead to these tensors."""
        starts = set().union(*(self.network.starts(output) for output in self.wanted))
        return [given for given in self.network.inputs if given in starts]

    def latent_shape(self, encoder: keras.Model) -> Shape:
        """The shape of one z, mostly (latent_dim,).

        Args:
            encoder: the network whose outputs are the tensors `wanted`.

        Raises:
            RoleError: mu and log_var differ in shape, or have no axis of latent dimensions.
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
        """Mu and log_var from the values of the tensors `wanted`."""
        if self.mu == self.second:
            whole = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
            mu, second = ops.split(whole, 2, axis=-1)
        else:
            mu, second = outputs
        return mu, TO_LOG_VAR[self.kind](second)


def find_encoder(networks: Sequence[Net], told: Roles) -> Iterator[Encoder[Net]]:
    """Where q(z|x) may be, the likeliest first.

    Raises:
        RoleError: no place or more than one was found, or the second parameter seems to be sigma.
    """
    among = networks
    if told.encoder is not None:
        among = [network for network in networks if network.is_called(told.encoder)]
        if not among:
            raise RoleError(f"There is no network {told.encoder!r}.{listed(networks)}")
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
            f"names (z_mean and z_log_var will do), but {counted(found)}.{listed(networks)}"
        )
    yield from found[0]


def _told_encoder(networks: Sequence[Net], mu: str | None, kind: str, second: str) -> Encoder[Net]:
    """The encoder whose layers a person has named."""
    found = [
        Encoder(network, tensor, other, kind, f", which was said to be {kind}")
        for network in networks
        if (tensor := tensor_of(network, mu)) and (other := tensor_of(network, second))
    ]
    if len(found) != 1:
        what = "No network has" if not found else "More than one network has"
        raise RoleError(f"{what} both {mu!r} and {second!r}.{listed(networks)}")
    return found[0]


def _named(network: Net, told: Roles) -> Iterator[Encoder[Net]]:
    """Search by the names of outputs, the order of an encoder's outputs, and names in the graph."""
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
    """Each pair of inputs of one layer that are named mu and log_var."""
    for step in network.steps.values():
        for sources in step.calls:
            named = named_mu_and_log_var([_known_as(network, source) for source in sources])
            if named is not None:
                yield sources[named[0]], sources[named[1]]


def _drawn_inline(network: Network) -> Iterator[tuple[Output, Output]]:
    """Each mu and log_var that meet in a sum such as mu + exp(log_var / 2) * noise."""
    for step in network.steps.values():
        for sources in step.calls if step.kind == "Add" or step.needed else ():
            for mu, scaled in permutations(sources, 2):
                for log_var in _exponents(network, scaled):
                    names = [_known_as(network, mu), _known_as(network, log_var)]
                    if named_mu_and_log_var(names) == (0, 1):
                        yield mu, log_var


def _exponents(network: Network, scaled: Output) -> Iterator[Output]:
    """The tensors, named as parameters, whose exponential is a factor of another tensor."""
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
    """The name of a tensor's layer; for a layer that keeps the meaning of its input, the input's.

    So the clip of z_log_var is known as z_log_var.
    """
    step, sources = network.steps[output.layer], network.sources(output)
    if step.kind == "Mean":  # Keras names the operation keras.ops.mean so
        return ""
    is_linear = (step.kind, step.activation) == ("Activation", "linear")
    keeps = len(sources) == 1 and (step.kind in _KEEPERS or is_linear)
    if is_named_as_parameter(output.layer) or not keeps:
        return output.layer
    return _known_as(network, sources[0])


def _drawn_from(network: Net) -> Iterator[Encoder[Net]]:
    """The two inputs of a layer of the author's own, such as a Sampling layer, if there is one."""
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
    """The first two of two or three outputs: the order in the books."""
    outputs = [output for _, output in network.outputs]
    if not network.named and len(outputs) in (2, 3) and _are_siblings(network, *outputs[:2]):
        yield from _by_order(network, *outputs[:2])


def _are_siblings(network: Network, one: Output, other: Output) -> bool:
    """Whether two tensors may be mu and log_var: one shape, and neither depends on the other."""
    # In a file, a tensor that only leaves the network has no shape.
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
    """The only output of an encoder, if it may hold mu and log_var in halves."""
    if network.is_called("encoder") and len(network.outputs) == 1:
        yield Encoder(network, network.outputs[0][1], network.outputs[0][1])
