"""The device that a backend computes on, and its memory. This file speaks to each backend."""

import resource
import sys


def device_name(backend: str) -> str:
    """The accelerator's name; "cpu" if there is none."""
    if backend == "jax":
        import jax

        return jax.local_devices()[0].device_kind
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "cpu"


def peak_device_memory(backend: str) -> int | None:
    """The peak of the accelerator's memory in bytes, as the library counts it, or None."""
    if device_name(backend) == "cpu":
        return None
    if backend == "jax":
        import jax

        # Some of JAX's allocators count nothing.
        return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    if backend == "torch":
        import torch

        return torch.cuda.max_memory_allocated()
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def peak_memory() -> int:
    """The peak memory of this process, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
