"""A GPU that is none."""

import pytest


@pytest.fixture
def accelerator(monkeypatch):
    """What asks JAX for the device is told of a GPU: kelbo, and the loop of Keras, which then
    sends batches ahead."""
    import jax

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
