"""Every error that kelbo raises on purpose: what was expected, what arrived, what to do.

At the command line these become one message and an exit code, never a traceback. The code is
`exit_code`: 2 if the command is wrong, because it names what does not exist or asks for what cannot
be (`UsageError`, and all that Typer refuses); 1 if the command is right and the work failed.
"""

import difflib
from collections.abc import Iterable


class KelboError(Exception):
    """Base of kelbo's errors."""

    exit_code = 1


class UsageError(KelboError, ValueError):
    """The call asks for something that does not exist or does not fit together."""

    exit_code = 2


class DataError(KelboError, ValueError):
    """The data are not what the model or the reader expects."""


class RunError(KelboError, ValueError):
    """A run directory is damaged, lacks a file, or is in the way."""


class NoRunError(UsageError, RunError):
    """There is no run where one was named."""


class BackendError(KelboError, ImportError):
    """The chosen Keras backend is not installed."""


class LabError(KelboError, RuntimeError):
    """The recipes lab cannot do what was asked: something is in its way."""


class DivergedError(KelboError, ArithmeticError):
    """The loss became NaN or infinite and the training was stopped."""


class UnexplainedError(KelboError, LookupError):
    """No explanation is known for a message."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not in `known`, with the nearest one that is.

    Args:
        kind: what is named, such as "data set" or "model".
        name: what arrived.
        known: every name that would have been right.
    """
    known = sorted(known)
    spelled = {right.lower(): right for right in known}
    nearest = difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=0.5)
    hint = f" Did you mean {spelled[nearest[0]]!r}?" if nearest else ""
    return UsageError(f"There is no {kind} {name!r}.{hint} Known: {', '.join(known)}.")
