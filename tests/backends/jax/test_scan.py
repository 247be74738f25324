"""Scans are compiled once, and draw as they should."""

import numpy as np
import pytest

import kelbo
from kelbo.backends.jax import scan
from kelbo.data import from_arrays
from kelbo.data.stream import Batches
from tests.backends.jax.support import (
    X,
    compiled,
    on_jax,
    stream,
)
from tests.support import data

jax = pytest.importorskip("jax")


@on_jax
def test_scans_are_compiled_once_and_forgotten_when_the_model_is_compiled():
    traced = []

    class Counting(kelbo.ELBO):
        def terms(self, trace):
            traced.append(trace)
            return super().terms(trace)

    vae = compiled(objective=Counting())
    vae.fit(X, batch_size=4, verbose=0, resident=True)
    times = len(traced)
    vae.fit(1.0 - X, batch_size=4, epochs=2, verbose=0, resident=True)
    assert len(traced) == times
    expected = vae.evaluate(X, verbose=0, return_dict=True)
    vae.objective = kelbo.ELBO(0.0)
    vae.compile(vae.optimizer)
    logs = vae.fit(X, batch_size=10, verbose=0, resident=True).history
    assert logs["loss"][0] == pytest.approx(-logs["reconstruction"][0])
    assert logs["kl"][0] == pytest.approx(expected["kl"], rel=1e-3)


@on_jax
def test_draws_have_their_means_and_change_with_seed_epoch_and_batch():
    def keys(seed):
        batches = stream(seed=seed)
        for _ in range(2):
            batches.on_epoch_end()
            yield from (jax.random.fold_in(batches.key(), i) for i in range(2))

    means = np.linspace(0.0, 1.0, 5, dtype="float32")[:, None].repeat(4000, axis=1)
    seen = [np.asarray(scan.bernoulli(means, k)) for s in (1, 2**40) for k in keys(s)]
    assert len({draw.tobytes() for draw in seen}) == 8
    assert set(np.unique(seen)) == {0.0, 1.0}
    np.testing.assert_allclose(np.mean(seen, axis=(0, 2)), means[:, 0], atol=0.02)
    assert stream(Batches).key() is not None
    assert from_arrays(data(4), data(3)).batches("test", 4).key() is None
