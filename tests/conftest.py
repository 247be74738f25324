"""Settings and fixtures of every test."""

import os
import sys
from pathlib import Path

# Tests compile many small programs and run each a few times: do not optimise them, and keep them.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "kelbo", deadline=None, derandomize=True, max_examples=40, print_blob=True
)
hypothesis.settings.load_profile("kelbo")

# Tests whose result no backend changes, or that start each backend themselves, by their places
# below this folder. They get the marker `once`.
HERE = Path(__file__).parent
ONCE = (
    "backends/test_choice.py",
    "benchmarks/",
    "cli/test_cache_progress.py",
    "cli/test_console.py",
    "cli/test_doctor.py",
    "cli/test_explain.py",
    "cli/test_port.py",
    "cli/test_recipes.py",
    "clinic/doctor/",
    "clinic/explain/",
    "clinic/port/",
    "clinic/recipes/",
    "data/",
    "docs/",
    "evaluation/test_floors.py",
    "parity/",
    "report/",
    "test_beta.py",
    "test_errors.py",
    "test_init.py",
    "test_main.py",
    "test_memory.py",
    "test_places.py",
    "test_runs.py",
    "test_support.py",
    "training/test_configuration.py",
)
ON_EACH_BACKEND = ("data/test_stream.py", "clinic/explain/test_repairs.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark tests before they are selected by their marks."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix()
        if place.startswith(ONCE) and place not in ON_EACH_BACKEND:
            item.add_marker(pytest.mark.once)


@pytest.fixture(autouse=True)
def same_initial_weights():
    """Every test starts from one random state, in whatever order tests run."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def fixed_noise(monkeypatch):
    """Every draw of normal noise of one shape is the same array, on every backend."""
    import keras

    from tests.support import noise

    monkeypatch.setattr(
        keras.random,
        "normal",
        lambda shape, **kwargs: keras.ops.convert_to_tensor(noise(tuple(map(int, shape)))),
    )
