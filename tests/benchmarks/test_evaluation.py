"""The plain loop computes what kelbo computes, and a difference that is no noise is refused."""

import numpy as np
import pytest

from benchmarks.evaluation import check_same, page, plain_loop
from tests.support import data, randomise, tiny_vae


def test_the_plain_loop_has_the_same_bound():
    vae = tiny_vae()
    randomise(vae, scale=0.2)
    bound = plain_loop(vae, num_samples=2000, rows=90_000)(data(4))
    # Four standard errors: the weights vary by up to 1.7 times their mean.
    np.testing.assert_allclose(bound, vae.log_likelihood(data(4), 2000), atol=0.2)


def test_what_is_not_the_same_is_refused():
    noise = np.random.default_rng(0).standard_normal((2, 1000))
    check_same(noise[0], noise[1])
    with pytest.raises(SystemExit, match="nothing is stored"):
        check_same(noise[0], noise[1] + 1.0)


def test_the_page_has_a_line_for_every_result():
    on = {
        "backend": "jax",
        "backend_version": "1.2",
        "date": "2026-01-02T03:04:05",
        "keras": "3.4",
        "cpu_count": 2,
        "processor": "a processor",
    }
    result = {
        "images": 10_000,
        "samples": 5_000,
        "network": "conv",
        "rounds": 1,
        "device": "a GPU",
        "peak_memory": 1_000_000_000,
        "peak_device_memory": 2_000_400_000,
        "kelbo": {"seconds": 100.0, "bound": -90.5},
        "environment": on,
    }
    line = next(line for line in page({"one": result}).splitlines() if "a GPU" in line)
    for figure in ("jax 1.2", "10,000 x 5,000", "500,000", "-90.500", "1,000 host, 2,000 device"):
        assert figure in line
