"""The names that people give to the parameters of q(z|x) and to the inputs of networks."""

import re
from collections.abc import Sequence

_LOG_VAR = re.compile(r"log_?var|logvar", re.IGNORECASE)
_MU = re.compile(r"(^|_)(mu|mean)($|_|\d)", re.IGNORECASE)
# Names of sigma, its logarithm and its square, and of functions with positive values.
_SIGMA = re.compile(
    r"sigma|std|scale|variance|(^|_)var($|_|\d)|^(softplus|exp|exponential)$", re.IGNORECASE
)
# Names of inputs.
_INPUTS = {
    "x": re.compile(r"(^|_)(x|images?|imgs?|pixels?|data)($|_|\d)", re.IGNORECASE),
    "z": re.compile(r"(^|_)(z|latents?|codes?|sampl\w*)($|_|\d)", re.IGNORECASE),
}
_CONDITION = re.compile(r"label|class|cond|one_?hot|(^|_)[cy]($|_|\d)", re.IGNORECASE)


def named_mu_and_log_var(names: Sequence[str]) -> tuple[int, int] | None:
    """The indices of mu and log_var among names; None unless each occurs once."""
    log_var = [i for i, name in enumerate(names) if _LOG_VAR.search(name)]
    mu = [i for i, name in enumerate(names) if _MU.search(name) and i not in log_var]
    return (mu[0], log_var[0]) if len(mu) == len(log_var) == 1 else None


def is_named_as_parameter(name: str) -> bool:
    """Whether a name is one of mu or log_var."""
    return bool(_MU.search(name) or _LOG_VAR.search(name))


def is_named_as_sigma(*names: str) -> bool:
    """Whether an output is sigma, log sigma or a variance, by its names or its function's.

    They are easily taken for log_var if only the order of the outputs tells.
    """
    return any(_SIGMA.search(name) and not _LOG_VAR.search(name) for name in names)


def named_input(what: str, names: Sequence[str]) -> int | None:
    """The index of "x" or "z" among the names of inputs; None if the names do not tell.

    It is the only input with such a name, else the only one without the name of a condition.
    """
    possible = [i for i, name in enumerate(names) if not _CONDITION.search(name)]
    called = [i for i in possible if _INPUTS[what].search(names[i])]
    found = called or possible
    return found[0] if len(found) == 1 else None
