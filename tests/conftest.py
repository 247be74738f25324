"""Settings and fixtures of every test."""

import os
import secrets
import signal
import sys
from pathlib import Path

# Tests compile many small programs and run each a few times: do not optimise them, and keep them.
# JAX may read a file that another process is still writing, so each process has a place of its own.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    f"{Path(__file__).parents[1]}/.pytest_cache/jax/{os.getenv('PYTEST_XDIST_WORKER', 'main')}",
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Several processes run tests at the same time, and no test gains by a second thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

from tests.sampling import draw

hypothesis.settings.register_profile(
    "kelbo", deadline=None, derandomize=True, max_examples=40, print_blob=True
)
hypothesis.settings.load_profile("kelbo")

# Tests whose result no backend changes, or that start each backend themselves, by their places
# below this folder. They get the marker `once`.
HERE = Path(__file__).parent
ONCE = (
    "backends/jax/test_shared_batches.py",
    "backends/tensorflow/test_replicas.py",
    "backends/test_choice.py",
    "benchmarks/",
    "cli/test_app.py",
    "cli/test_cache_progress.py",
    "cli/test_compare.py",
    "cli/test_console.py",
    "cli/test_doctor.py",
    "cli/test_explain.py",
    "cli/test_port.py",
    "cli/test_recipes.py",
    "cli/test_report.py",
    "clinic/doctor/",
    "clinic/explain/",
    "clinic/port/",
    "clinic/recipes/",
    "data/",
    "docs/",
    "evaluation/test_disentanglement.py",
    "evaluation/test_distances.py",
    "evaluation/test_figures.py",
    "evaluation/test_findings.py",
    "evaluation/test_similarity.py",
    "parity/",
    "report/",
    "test_beta.py",
    "test_errors.py",
    "test_init.py",
    "test_main.py",
    "test_memory.py",
    "test_places.py",
    "test_runs.py",
    "test_seeds.py",
    "test_sampling.py",
    "test_support.py",
    "training/test_configuration.py",
)
ON_EACH_BACKEND = ("data/test_stream.py", "clinic/explain/test_repairs.py")


SEED = "KELBO_TEST_SEED"


def pytest_addoption(parser):
    parser.addoption("--whole", action="store_true", help="run every case of the sampled tests")


def pytest_configure(config):
    """Draw the seed of the samples, once for all processes that run tests."""
    os.environ.setdefault(SEED, str(secrets.randbelow(10**6)))


def pytest_report_header(config):
    if config.option.whole:
        return "sampled tests: all of their cases"
    return f"sampled tests: drawn by {SEED}={os.environ[SEED]}; --whole runs all of their cases"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark tests before they are selected by their marks, and draw the samples."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix()
        if place.startswith(ONCE) and place not in ON_EACH_BACKEND:
            item.add_marker(pytest.mark.once)
    if not config.option.whole:
        left_out = draw(items, os.environ[SEED])
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


@pytest.fixture(autouse=True)
def same_initial_weights():
    """Every test starts from one random state, in whatever order tests run."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def heeding_ctrl_c():
    """This process and those that it starts heed Ctrl-C, also where `make test &` ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
