"""The roles that a person names in a VAE, and the error where a role cannot be told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from keras import ops

from kelbo.clinic.anatomy.graph import Network, Output
from kelbo.errors import UsageError

# The meaning of the second parameter of q(z|x) -> a function from the parameter to log_var.
TO_LOG_VAR: dict[str, Callable[[Any], Any]] = {
    "log_var": lambda log_var: log_var,
    "log_sigma": lambda log_sigma: 2.0 * log_sigma,
    "sigma": lambda sigma: 2.0 * ops.log(sigma),
    "var": ops.log,
}
# The most layers in the list of a message.
_MOST_LISTED = 12
Net = TypeVar("Net", bound=Network)
# The shape of one datum or one z, without the batch.
Shape = tuple[int | None, ...]


class RoleError(Exception):
    """A role cannot be told. The message says why, and what was found."""


@dataclass(frozen=True)
class Roles:
    """The names of layers that a person gives for the roles of a VAE; None for the others.

    Attributes:
        encoder: the network that gives mu and log_var.
        mu: the layer that gives the posterior's means.
        log_var, log_sigma, sigma, var: the layer that gives log sigma^2, log sigma, sigma or
            sigma^2; at most one of the four.
        decoder: the network from z to x.
        z: the layer that draws z, in a network with both encoder and decoder.
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
            UsageError: more than one second parameter is named, or only one of it and mu.
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
        """The meaning of the second parameter, and the name of its layer; None without one."""
        said = ((kind, getattr(self, kind)) for kind in TO_LOG_VAR)
        return next(((kind, name) for kind, name in said if name is not None), None)


def tensor_of(network: Network, name: str | None) -> Output | None:
    """The output of a layer in its last call, or the network's output of this name."""
    outputs = dict(network.outputs)
    if name is None:
        return None
    if name in network.steps:
        return Output(name, network.last_call(name), 0)
    return outputs.get(name)


def counted(found: Sequence[Any]) -> str:
    """The number of findings, in words."""
    return f"{len(found)} were found" if found else "none was found"


def listed(networks: Sequence[Network]) -> str:
    """A sentence that lists the networks; of a single one, the layers that may be mu or log_var."""
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
