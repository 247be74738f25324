import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.data.resize import resized, with_channels


@given(
    old=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    new=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.sampled_from([1, 3]),
    value=st.floats(0, 1, width=32),
)
def test_a_flat_image_stays_flat_at_any_size(old, new, channels, value):
    flat = np.full((2, *old, channels), value, dtype=np.float32)
    result = resized(flat, new)
    assert result.shape == (2, *new, channels)
    np.testing.assert_allclose(result, value, atol=1e-6)


def test_the_centre_is_kept_and_the_sides_are_cut():
    wide = np.zeros((1, 4, 12, 1), dtype=np.float32)
    wide[:, :, 4:8] = 1
    np.testing.assert_allclose(resized(wide, (4, 4)), 1, atol=1e-6)


def test_shrinking_averages_rather_than_picks():
    board = (np.indices((32, 32)).sum(axis=0) % 2).astype(np.float32)[None, ..., None]
    np.testing.assert_allclose(resized(board, (8, 8))[0, 2:-2, 2:-2], 0.5, atol=0.02)


def test_overshoot_is_clipped():
    edge = np.zeros((1, 8, 8, 1), dtype=np.float32)
    edge[:, :, 4:] = 1
    result = resized(edge, (16, 16))
    assert result.min() == 0 and result.max() == 1


def test_grey_and_colour_round_trip():
    grey = np.random.default_rng(0).random((2, 3, 3, 1), dtype=np.float32)
    colour = with_channels(grey, 3)
    assert colour.shape == (2, 3, 3, 3)
    np.testing.assert_allclose(with_channels(colour, 1), grey, atol=1e-6)


@pytest.mark.parametrize(("channel", "luma"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_grey_is_the_luma_of_bt_601(channel, luma):
    colour = np.zeros((1, 1, 1, 3), dtype=np.float32)
    colour[..., channel] = 1
    assert with_channels(colour, 1).item() == pytest.approx(luma)
