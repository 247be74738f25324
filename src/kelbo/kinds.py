"""The kinds of what a model is made of: its parts, and whole numbers."""

from numbers import Integral
from typing import Any

from kelbo.errors import UsageError

# What a part of each kind may be.
_EXAMPLES = {
    "Posterior": ", such as kelbo.GaussianPosterior(encoder_network, latent_dim=16)",
    "Likelihood": ", such as kelbo.BernoulliLikelihood(decoder_network)",
    "Prior": ", such as kelbo.StandardNormalPrior()",
    "Objective": ", such as kelbo.ELBO()",
    "Flow": ", such as kelbo.flows.PlanarFlow(8)",
}


def check_kind(part: Any, kind: type) -> None:
    """Refuse a part that is not of its kind.

    Raises:
        UsageError: with what arrived.
    """
    if not isinstance(part, kind):
        name = kind.__name__
        raise UsageError(
            f"Expected an instance of {name}{_EXAMPLES.get(name, '')}, received {part!r}."
        )


def whole(name: str, value: Any) -> int:
    """A whole number as Python's: Keras takes none of NumPy's.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, Integral):
        raise UsageError(f"Expected {name} to be a whole number, received {value!r}.")
    return int(value)


def check_sizes(**sizes: Any) -> None:
    """Refuse numbers of things that are no whole numbers >= 1.

    Raises:
        UsageError: with the name and what arrived.
    """
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise UsageError(f"Expected {name} to be a whole number >= 1, received {size!r}.")


def at_least_one(owner: str, name: str, value: Any) -> int:
    """A whole number of at least 1.

    Raises:
        UsageError: it is none.
    """
    value = whole(name, value)
    if value < 1:
        raise UsageError(f"A {owner} expects {name} >= 1, received {value}.")
    return value
