import numpy as np
import pytest

from kelbo.runs import ENVIRONMENT, EVALUATION, RunDirectory

LATENT = 4


@pytest.fixture
def config():
    return {
        "kelbo": "0.1.0",
        "data": {"source": "mnist", "binarization": "none"},
        "model": {"preset": "vae", "network": "conv", "latent_dim": LATENT, "beta": 1.0},
        "training": {"epochs": 2, "batch_size": 128, "seed": 0, "backend": "jax"},
    }


@pytest.fixture
def metrics():
    return [
        {"epoch": 1, "seconds": 20.0, "samples_per_second": 3000.0, "loss": 140.0, "elbo": -140.0},
        {"epoch": 2, "seconds": 22.5, "samples_per_second": 2800.0, "loss": 120.0, "elbo": -120.0},
    ]


@pytest.fixture
def evaluation():
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
        "effective_beta_note": "The KL term counts 204 times less than in the ELBO.",
        "floors": {"independent_pixels": 205.9, "pixel_entropy": 45.7},
        "notes": ["Grey-pixel cross-entropy is not a log-likelihood."],
        "seconds": 12.3,
    }


@pytest.fixture
def arrays():
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


@pytest.fixture
def run(tmp_path, config, metrics, evaluation, arrays):
    """A run that has everything but its report."""
    run = RunDirectory.create(tmp_path / "first-run")
    run.write_config(config)
    run.write_metrics(metrics)
    run.write_json(EVALUATION, evaluation)
    run.write_json(ENVIRONMENT, {"keras": "3.15.0", "device": "cpu", "gpu": {"memory_gib": 139}})
    run.write_arrays(arrays)
    return run
