"""Devices of a keras.distribution share the batches of a model, on JAX."""

from tests.backends.several import run

FLAGS = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"


def test_two_devices():
    failed = run("tests/backends/jax/two_devices.py", KERAS_BACKEND="jax", XLA_FLAGS=FLAGS)
    assert not failed, failed
