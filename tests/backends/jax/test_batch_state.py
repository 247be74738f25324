"""A batch that cannot be read leaves a model as it was before it."""

import numpy as np
import pytest

from tests.backends.jax.support import X, compiled, on_jax
from tests.support import weights


def broken():
    """Batches of which the third cannot be read; two Keras reads beforehand."""
    yield (X[:4],)
    yield (X[4:8],)
    raise OSError("the disk is gone")


@on_jax
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    ("call", "options", "taken"),
    [("fit", {"shuffle": False}, 2), ("evaluate", {}, 0), ("predict", {}, 0)],
)
def test_a_batch_that_cannot_be_read_leaves_the_weights(call, options, taken, steps):
    vae = compiled(steps_per_execution=steps)
    before = weights(vae)
    with pytest.raises(OSError, match="the disk is gone"):
        getattr(vae, call)(broken(), verbose=0, **options)
    assert int(vae.optimizer.iterations) == taken
    if not taken:
        for a, b in zip(weights(vae), before, strict=True):
            np.testing.assert_array_equal(a, b)
    assert np.isfinite(vae.fit(X, verbose=0).history["loss"]).all()
