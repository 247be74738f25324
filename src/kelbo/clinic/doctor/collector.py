"""Keeps Python's garbage collector from looking at a script that is being followed."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Follow a script without garbage collection: there is no garbage before the end.

    A collection goes through all that is known so far, and there would be hundreds of them: a
    quarter of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
