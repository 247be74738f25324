"""The trainings differ in what they should differ in, and the page says what was measured."""

import numpy as np

import kelbo
from benchmarks import precision
from tests.support import weights

X = np.random.default_rng(0).random((8, 4, 4, 1), "float32")


def test_trainings_of_a_seed_start_alike():
    same, again, off = (precision.start(X.shape[1:], "mlp", 1, "float32", d) for d in (0, 0, 1e-4))
    for one, other, third in zip(*map(weights, (same, again, off)), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, third, rtol=1e-3)
    kernels = [w for w in off.trainable_variables if w.name == "kernel"]
    assert all(np.any(k != o) for k, o in zip(kernels, same.trainable_variables[::2], strict=True))
    assert precision.start(X.shape[1:], "mlp", 1, "bfloat16", 0).precision == "bfloat16"


def test_a_training_is_repeated_to_the_bit():
    models = [precision.train(X, "mlp", 2, 0, "float32", 0.0)[0] for _ in range(2)]
    for one, other in zip(*map(weights, models), strict=True):
        np.testing.assert_array_equal(one, other)
    assert isinstance(models[0], kelbo.VAE)


def test_the_page_has_each_difference():
    elbo = {"float32": [-100.0, -101.0], "bfloat16": [-100.25, -100.25]}
    elbo["float32, first weights off"] = [-99.9, -100.8]
    result = {
        "network": "mlp",
        "images": 60_000,
        "epochs": 10,
        "elbo": elbo,
        "device": "a GPU",
        "environment": {
            "backend": "jax", "backend_version": "1.2", "date": "2026-11-25T00:00", "keras": "3.15",
            "cpu_count": 2, "processor": "a processor",
        },
    }  # fmt: skip
    page = precision.page({"one": result})
    assert "| jax 1.2, a GPU | mlp | 60,000 x 10 | -100.00, -101.00 |" in page
    assert "| -0.25, +0.75; mean +0.25 | +0.10, +0.20; mean +0.15 |" in page
    assert "1 of 2 (bfloat16) and 2 of 2 (float32, first weights off)" in page
