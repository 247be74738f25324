"""The contestants by name. Each is a class with `loss` and `train`, in a file of its own."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from benchmarks.speed.work import Work


class Gate(Protocol):
    """Where a contestant waits before each epoch, and reports after it."""

    epochs: int

    def begin(self) -> None:
        """Wait for the turn; the clock starts when this returns."""
        ...

    def end(self, loss: float) -> None:
        """Report that the epoch is done, on the device too, with its mean loss in nats."""
        ...


class Contestant(Protocol):
    """A training of the article's network."""

    def __init__(self, work: Work, weights: dict[str, Any], device: str): ...

    def loss(self, x: np.ndarray, epsilon: np.ndarray) -> float:
        """The mean loss in nats of (n, *shape), with noise (K, n, latent_dim), before training."""
        ...

    def train(self, x: np.ndarray, gate: Gate) -> None:
        """Train for `gate.epochs` epochs."""
        ...


@dataclass(frozen=True)
class Entry:
    """A contestant before it is imported.

    Attributes:
        module: the file in this folder.
        kind: its class there.
        needs: packages without which it is absent.
        backend: KERAS_BACKEND of its process.
        devices: where it runs.
        samples: the largest K for which its loss is the bound.
    """

    module: str
    kind: str
    needs: tuple[str, ...]
    backend: str = ""
    devices: tuple[str, ...] = ("cpu", "gpu")
    samples: int = 10**9

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]

    def load(self) -> type[Contestant]:
        """Its class."""
        return getattr(import_module(f"benchmarks.speed.contestants.{self.module}"), self.kind)


BACKENDS = ("tensorflow", "jax", "torch")
ENTRIES: dict[str, Entry] = {
    **{f"kelbo, {name}": Entry("kelbo_fit", "KelboFit", (name,), name) for name in BACKENDS},
    **{
        # Keras's fit knows one loss for each output and no importance weights.
        f"Keras fit, {name}": Entry("keras_fit", "KerasFit", (name,), name, samples=1)
        for name in BACKENDS
    },
    "TensorFlow, tf.function loop": Entry(
        "tensorflow_loop", "TensorFlowLoop", ("tensorflow",), "tensorflow"
    ),
    "TensorFlow, tf.function loop with XLA": Entry(
        "tensorflow_loop", "TensorFlowXLALoop", ("tensorflow",), "tensorflow", ("gpu",)
    ),
    "PyTorch, eager": Entry("pytorch", "Eager", ("torch",)),
    "PyTorch, torch.compile": Entry("pytorch", "Compiled", ("torch",)),
    "PyTorch, CUDA graph, by hand": Entry("pytorch", "Graphed", ("torch",), devices=("gpu",)),
    # The loss that its IWAE reports is not the bound, so it could not be compared.
    "pythae": Entry("pythae_trainer", "Pythae", ("torch", "pythae"), samples=1),
}
