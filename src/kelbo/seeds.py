"""Seeds that every backend takes."""

# Keras's generator of noise is an int32 on PyTorch.
_MOST = 2**31


def folded(seed: int | None) -> int | None:
    """A seed as it is where each backend can take it, or folded into what they can."""
    return None if seed is None else int(seed) % _MOST
