"""A function's value and gradient on JAX: see `kelbo.backends.gradient`."""

from collections.abc import Callable
from typing import Any


def value_and_gradient(f: Callable[[Any], Any], at: Any) -> tuple[Any, Any]:
    """f(at), (n,), and its gradient, (n, *event)."""
    import jax

    value, pull_back = jax.vjp(f, at)
    return value, pull_back(jax.numpy.ones_like(value))[0]
