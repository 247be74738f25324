"""Whatever is chosen for the loop, the same is trained; without an accelerator nothing is timed."""

from tests.processes import python

CHOICES = """
import functools

import jax
import numpy as np

import kelbo
from benchmarks.resident import measure, profile

jax.default_backend = lambda: "gpu"
# A network that is quickly compiled.
kelbo.presets.vae = functools.partial(kelbo.presets.vae, network="mlp", latent_dim=2)
x = np.random.default_rng(0).random((40, 8, 8, 1), "float32")
done = [measure(x, 4, "float32", unroll, chunk, epochs=1) for unroll, chunk in ((1, 4), (3, 9))]
assert [one["unroll"] for one in done] == [1, 3]
np.testing.assert_allclose(done[0]["loss"], done[1]["loss"], rtol=1e-4)
assert profile(x, 4, "float32") == {}  # a CPU's kernels are on no stream of a device
"""


def on_jax(*arguments):
    return python(*arguments, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")


def test_every_choice_trains_the_same():
    done = on_jax("-c", CHOICES)
    assert done.returncode == 0, done.stderr


def test_on_a_cpu_there_is_nothing_to_choose():
    done = on_jax("-m", "benchmarks.resident")
    assert done.returncode == 2
    assert "JAX on an accelerator: set KERAS_BACKEND=jax" in done.stderr
