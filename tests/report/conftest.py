import numpy as np
import pytest

from kelbo.report import write_report
from kelbo.runs import ENVIRONMENT, EVALUATION, RunDirectory

LATENT = 4


def a_config():
    return {
        "kelbo": "0.1.0",
        "data": {"source": "mnist", "binarization": "none"},
        "model": {"preset": "vae", "network": "conv", "latent_dim": LATENT, "beta": 1.0},
        "training": {"epochs": 2, "batch_size": 128, "seed": 0, "backend": "jax"},
    }


def some_metrics():
    return [
        {"epoch": 1, "seconds": 20.0, "samples_per_second": 3000.0, "loss": 140.0, "elbo": -140.0},
        {"epoch": 2, "seconds": 22.5, "samples_per_second": 2800.0, "loss": 120.0, "elbo": -120.0},
    ]


def an_evaluation():
    return {
        "images": 10000,
        "unit": "nats",
        "elbo": -103.41,
        "reconstruction": -78.1,
        "kl": 25.31,
        "importance_weighted_bound": -99.83,
        "num_samples": 16,
        "kl_per_dimension": [2.5, 0.004, 3.25, 1.0],
        "activity": [0.9, 0.0001, 0.95, 0.5],
        "active_units": 3,
        "active_dimensions": [0, 2, 3],
        "effective_beta": 0.0049,
        "effective_beta_note": "the KL term counts 204 times less than in the ELBO",
        "floors": {"independent_pixels": 205.9, "pixel_entropy": 45.7},
        "notes": ["Grey-pixel cross-entropy is not a log-likelihood."],
        "seconds": 12.3,
    }


def some_arrays():
    chance = np.random.default_rng(0)
    return {
        "originals": chance.random((6, 8, 8, 1), dtype=np.float32),
        "reconstructions": chance.random((6, 8, 8, 1), dtype=np.float32),
        "samples": chance.random((9, 8, 8, 1), dtype=np.float32),
        "traversals": chance.random((3, 5, 8, 8, 1), dtype=np.float32),
        "traversal_dimensions": np.array([0, 2, 3]),
        "traversal_values": np.linspace(-2.5, 2.5, 5),
        "latent_means": chance.normal(size=(30, LATENT)),
        "latent_labels": np.arange(30) % 3,
        "label_names": np.array(["rose", "tulip", "daisy"]),
    }


config = pytest.fixture(a_config, name="config")
metrics = pytest.fixture(some_metrics, name="metrics")
evaluation = pytest.fixture(an_evaluation, name="evaluation")
arrays = pytest.fixture(some_arrays, name="arrays")


def a_run(path):
    """A run that has everything but its report."""
    run = RunDirectory.create(path)
    run.write_config(a_config())
    run.write_metrics(some_metrics())
    run.write_json(EVALUATION, an_evaluation())
    run.write_json(ENVIRONMENT, {"keras": "3.15.0", "device": "cpu", "gpu": {"memory_gib": 139}})
    run.write_arrays(some_arrays())
    return run


@pytest.fixture
def run(tmp_path):
    return a_run(tmp_path / "first-run")


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """A run with its report, for tests that only look."""
    run = a_run(tmp_path_factory.mktemp("runs") / "first-run")
    write_report(run)
    return run
