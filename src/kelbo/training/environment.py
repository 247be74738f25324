"""What a training ran on."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import kelbo


def describe_environment() -> dict[str, Any]:
    """Versions, backend and device, for environment.json."""
    import keras

    backend = keras.backend.backend()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "kelbo": kelbo.__version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": backend,
        # Asked of the module: the distribution may have another name, as tensorflow-cpu.
        "backend_version": sys.modules[backend].__version__,
        "numpy": version("numpy"),
        "device": str(keras.ops.zeros(()).device),
        **describe_machine(),
    }


def describe_machine() -> dict[str, Any]:
    """The machine without an accelerator; needs no backend."""
    return {
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "platform": platform.platform(),
    }


def _processor() -> str:
    """The processor's name as the system gives it."""
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
