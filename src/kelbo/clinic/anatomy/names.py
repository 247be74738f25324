"""What the tensors of q(z|x), and the inputs of its networks, are called in people's code."""

import re
from collections.abc import Sequence

_LOG_VAR = re.compile(r"log_?var|logvar", re.IGNORECASE)
_MU = re.compile(r"(^|_)(mu|mean)($|_|\d)", re.IGNORECASE)
# Names of sigma, its logarithm and its square, and of functions that give what is above 0.
_SIGMA = re.compile(
    r"sigma|std|scale|variance|(^|_)var($|_|\d)|^(softplus|exp|exponential)$", re.IGNORECASE
)
# Names of what a network takes.
_INPUTS = {
    "x": re.compile(r"(^|_)(x|images?|imgs?|pixels?|data)($|_|\d)", re.IGNORECASE),
    "z": re.compile(r"(^|_)(z|latents?|codes?|sampl\w*)($|_|\d)", re.IGNORECASE),
}
_CONDITION = re.compile(r"label|class|cond|one_?hot|(^|_)[cy]($|_|\d)", re.IGNORECASE)


def named_mu_and_log_var(names: Sequence[str]) -> tuple[int, int] | None:
    """The places of mu and log_var among names, where each is there once."""
    log_var = [i for i, name in enumerate(names) if _LOG_VAR.search(name)]
    mu = [i for i, name in enumerate(names) if _MU.search(name) and i not in log_var]
    return (mu[0], log_var[0]) if len(mu) == len(log_var) == 1 else None


def is_named_as_parameter(name: str) -> bool:
    """Whether it is a name of mu or of log_var."""
    return bool(_MU.search(name) or _LOG_VAR.search(name))


def is_named_as_sigma(*names: str) -> bool:
    """Whether one of the names of an output, or of the function that gives it, is that of sigma,
    log sigma or a variance, which are easily taken for log_var where order alone tells.
    """
    return any(_SIGMA.search(name) and not _LOG_VAR.search(name) for name in names)


def named_input(what: str, names: Sequence[str]) -> int | None:
    """The place of "x" or "z" among the names of inputs: the only one that is called so, else the
    only one that is not called a condition; None where the names do not tell.
    """
    possible = [i for i, name in enumerate(names) if not _CONDITION.search(name)]
    called = [i for i in possible if _INPUTS[what].search(names[i])]
    found = called or possible
    return found[0] if len(found) == 1 else None
