"""A function's value and gradient on PyTorch: see `kelbo.backends.gradient`."""

from collections.abc import Callable
from typing import Any


def value_and_gradient(f: Callable[[Any], Any], at: Any) -> tuple[Any, Any]:
    """f(at), (n,), and its gradient, (n, *event)."""
    import torch

    # Evaluation runs without gradients; then nothing outside can ask for those of the result.
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        # A tensor of its own: f may use `at` elsewhere too, where it is a constant to f.
        at = at.view_as(at) if at.requires_grad else at.detach().requires_grad_()
        value = f(at)
        if not value.requires_grad:  # a constant
            return value, torch.zeros_like(at)
        (gradient,) = torch.autograd.grad(
            value, at, torch.ones_like(value), create_graph=wanted, materialize_grads=True
        )
    return (value, gradient) if wanted else (value.detach(), gradient)
