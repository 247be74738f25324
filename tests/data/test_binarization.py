import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.data.binarization import (
    bernoulli,
    bernoulli_each,
    check_binarization,
    check_seed,
    threshold,
)
from kelbo.errors import UsageError


def test_threshold_is_at_one_half_inclusive():
    grey = np.array([0, 0.4999, 0.5, 0.5001, 1], dtype=np.float32)
    assert threshold(grey).tolist() == [0, 0, 1, 1, 1]
    assert threshold(grey).dtype == np.float32


def test_the_mean_of_draws_is_the_grey_value():
    grey = np.linspace(0, 1, 11, dtype=np.float32)
    generator = np.random.default_rng(0)
    draws = np.stack([bernoulli(grey, generator) for _ in range(4000)])
    assert set(np.unique(draws)) == {0, 1} and draws.dtype == np.float32
    # Four standard errors of a mean of 4000 draws with deviation at most one half.
    np.testing.assert_allclose(draws.mean(axis=0), grey, atol=4 * 0.5 / np.sqrt(4000))
    assert (draws[:, 0] == 0).all() and (draws[:, -1] == 1).all()


@given(seed=st.integers(0, 1000))
def test_drawing_from_a_draw_changes_nothing(seed):
    generator = np.random.default_rng(seed)
    drawn = bernoulli(generator.random((3, 4, 4, 1), dtype=np.float32), generator)
    np.testing.assert_array_equal(bernoulli(drawn, generator), drawn)


@given(cut=st.integers(1, 9), seed=st.integers(0, 1000))
def test_each_image_has_its_own_draw_whatever_the_batch(cut, seed):
    grey = np.full((10, 6, 6, 1), 0.5, dtype=np.float32)
    whole = bernoulli_each(grey, (seed, 0), range(10))
    parts = [bernoulli_each(grey[:cut], (seed, 0), range(cut))]
    parts.append(bernoulli_each(grey[cut:], (seed, 0), range(cut, 10)))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert len(np.unique(whole.reshape(10, -1), axis=0)) == 10
    assert (bernoulli_each(grey, (seed, 1), range(10)) != whole).any()


def test_unknown_names_and_negative_seeds_are_refused():
    with pytest.raises(UsageError, match="Did you mean 'dynamic'"):
        check_binarization("dinamic")
    with pytest.raises(UsageError, match="-1"):
        check_seed(-1)
