import numpy as np
import pytest

from kelbo.distributions import Categorical, LogNormal, Normal, Product
from kelbo.errors import UsageError
from tests.support import to_numpy

MU = np.float32([[0.1, -0.4], [1.0, 2.0]])
LOGITS = np.float32([[[1.0, 0.0, -1.0]], [[0.0, 0.5, 0.2]]])
PARTS = [Normal(MU, 0.3), Categorical(LOGITS), LogNormal(MU[:, :1], -1.0)]
X = np.float32([[0.5, -1.0, 2.0, 1.5], [0.0, 1.0, 0.0, 3.0]])
PRODUCT = Product(PARTS, (2, 1, 1))


def test_columns_have_the_density_of_their_part():
    each = [
        to_numpy(part.log_prob_per_dimension(x))
        for part, x in zip(PARTS, (X[:, :2], X[:, 2:3], X[:, 3:]), strict=True)
    ]
    np.testing.assert_array_equal(
        to_numpy(PRODUCT.log_prob_per_dimension(X)), np.concatenate(each, axis=-1)
    )
    np.testing.assert_allclose(
        to_numpy(PRODUCT.log_prob(np.stack([X, X]))), [sum(e.sum(-1) for e in each)] * 2, rtol=1e-6
    )


def test_draws_and_modes_stand_in_their_columns():
    draws = to_numpy(PRODUCT.sample(0, (2000,)))
    assert draws.shape == (2000, 2, 4)
    assert set(np.unique(draws[..., 2])) == {0.0, 1.0, 2.0}
    assert np.abs(draws[..., :2].mean(axis=0) - MU).max() < 0.15
    assert draws[..., 3].min() > 0.0
    # Parts share a seed and not their numbers.
    assert np.abs(np.corrcoef(draws[:, 0, 0], np.log(draws[:, 0, 3]))[0, 1]) < 0.1
    np.testing.assert_array_equal(to_numpy(PRODUCT.mode())[:, 2], [0.0, 1.0])
    with pytest.raises(UsageError, match="mean of a Categorical"):
        PRODUCT.mean()


def test_the_best_constant_is_that_of_each_part_or_none():
    x = np.tile(X, (3, 1))[:2]
    best = to_numpy(PRODUCT.best_constant(x).log_prob_per_dimension(x))
    own = to_numpy(PARTS[2].best_constant(x[:, 3:]).log_prob_per_dimension(x[:, 3:]))
    np.testing.assert_array_equal(best[:, 3:], own)

    class Unknown(Normal):
        def best_constant(self, x):
            return None

    assert Product([PARTS[0], Unknown(MU, 0.0)], (2, 2)).best_constant(x) is None


def test_frozen_freezes_each_part():
    frozen = PRODUCT.frozen()
    assert [type(part) for part in frozen.parts] == [type(part) for part in PARTS]
    np.testing.assert_array_equal(to_numpy(frozen.log_prob(X)), to_numpy(PRODUCT.log_prob(X)))
