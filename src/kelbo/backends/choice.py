"""Chooses the Keras backend if the user named none. Imports no framework.

Keras reads KERAS_BACKEND when it is first imported. The file ~/.keras/keras.json is ignored: Keras
writes it by itself at its first import, so its content need not be anyone's wish, and it may name
a backend that is not installed.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from kelbo.errors import BackendError, UsageError, unknown_name

BACKENDS = ("tensorflow", "jax", "torch")


# Fastest first, on a CPU (docs/speed.md): for convolutions, and for dense layers alone.
_ON_CPU = {"conv": BACKENDS, "mlp": ("jax", "tensorflow", "torch")}


def installed() -> list[str]:
    """The backends that can be imported here."""
    return [name for name in BACKENDS if find_spec(name) is not None]


def require(name: str) -> None:
    """Check that the backend `name` exists and is installed.

    Raises:
        UsageError: there is no such backend.
        BackendError: it is not installed.
    """
    if name not in BACKENDS:
        raise unknown_name("backend", name, BACKENDS)
    if name not in installed():
        raise BackendError(
            f"The backend {name!r} is not installed. Install it with: pip install 'kelbo[{name}]'"
        )


def preferred(network: str | None = None) -> tuple[str, str]:
    """The backend to use here: JAX if it can use a GPU, else the fastest for the networks.

    JAX on a GPU is a choice that this project has not measured yet.

    Args:
        network: the name of the pair of networks, where it is known.

    Returns:
        The backend, and the reason in a few words.

    Raises:
        BackendError: none is installed.
    """
    available = installed()
    if not available:
        raise BackendError(
            "No Keras backend is installed. Install one with: pip install 'kelbo[tensorflow]' "
            "(or kelbo[jax], kelbo[torch])"
        )
    if len(available) == 1:
        return available[0], "the one that is installed"
    if "jax" in available and _has_gpu() and _jax_sees_gpus():
        return "jax", "it can use the GPU"
    order = _ON_CPU.get(network or "conv", BACKENDS)
    layers = "dense layers" if network == "mlp" else "convolutions"
    chosen = next(name for name in order if name in available)
    return chosen, f"the fastest installed for {layers} on a CPU"


def _has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()


def _jax_sees_gpus() -> bool:
    plugins = ("jax_cuda12_plugin", "jax_cuda13_plugin", "jax_rocm7_plugin", "jax_rocm60_plugin")
    return any(find_spec(plugin) is not None for plugin in plugins)


def choose(name: str | None = None, network: str | None = None) -> tuple[str, str]:
    """Settle the backend: `name`, else the running one, else KERAS_BACKEND, else the preferred.

    Args:
        name: of the backend that the user asks for.
        network: the name of the pair of networks, where it is known.

    Returns:
        The backend, and the reason in a few words.

    Raises:
        UsageError: there is no such backend, or Keras already runs on another one.
        BackendError: it is not installed.
    """
    running = sys.modules["keras"].backend.backend() if "keras" in sys.modules else None
    if name is not None:
        choice, reason = name, "as asked for"
    elif running is not None:
        choice, reason = running, "Keras already runs on it"
    elif os.environ.get("KERAS_BACKEND"):
        choice, reason = os.environ["KERAS_BACKEND"], "from KERAS_BACKEND"
    else:
        choice, reason = preferred(network)
    require(choice)
    if running is None:
        os.environ["KERAS_BACKEND"] = choice
    elif running != choice:
        raise UsageError(
            f"Keras already runs on {running!r} in this process and cannot change to {choice!r}. "
            "Choose the backend before Keras is imported."
        )
    return choice, reason
