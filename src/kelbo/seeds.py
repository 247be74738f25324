"""Seeds that every backend takes."""

from typing import Any

import numpy as np

# Keras's generator of noise is an int32 on PyTorch.
_MOST = 2**31


def folded(seed: int | None) -> int | None:
    """A seed as it is where each backend can take it, or folded into what they can."""
    return None if seed is None else int(seed) % _MOST


def distinct(seed: Any, count: int) -> list[Any]:
    """Seeds for `count` draws that must not depend on one another.

    A generator draws afresh each time it is asked, and is returned as it is; a number would give
    each draw the same noise.
    """
    if not isinstance(seed, int):
        return [seed] * count
    words = np.random.SeedSequence(folded(seed)).generate_state(count)
    return [folded(word) for word in words]
