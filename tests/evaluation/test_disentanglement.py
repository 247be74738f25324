"""Synthetic codes whose scores are known."""

import itertools

import numpy as np
import pytest

from kelbo.errors import DataError, UsageError
from kelbo.evaluation.disentanglement import (
    _lasso,
    attribute_predictability,
    dci,
    factor_vae_metric,
    modularity,
    mutual_information_gap,
)

SIZES = (3, 6, 40, 32, 32)  # dSprites: shape, scale, orientation, position in x and in y


@pytest.fixture(scope="module")
def dsprites():
    """The factors of its 737,280 images."""
    return np.stack(np.meshgrid(*map(range, SIZES), indexing="ij"), axis=-1).reshape(-1, 5)


@pytest.fixture(scope="module")
def factors():
    """Every combination of three factors."""
    return np.array(list(itertools.product(range(4), range(5), range(6))), float).repeat(20, axis=0)


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_a_perfect_code_of_dsprites_scores_902_and_a_random_one_nothing(dsprites):
    assert mutual_information_gap(dsprites, dsprites) == pytest.approx(0.902, abs=5e-4)
    # With as many bins as there are values nothing is lost.
    assert mutual_information_gap(dsprites[:, :2], dsprites[:, :2], 6) == pytest.approx(1.0)
    random = np.random.default_rng(0).random((len(dsprites), 5))
    assert mutual_information_gap(random, dsprites) == pytest.approx(0.0, abs=5e-4)


def test_every_metric_of_a_perfect_code(factors):
    # In another order, of other scale and sign, and with two dimensions that say nothing.
    code = np.column_stack([-3.0 * factors[:, [2, 0, 1]] + 1.0, 1e-3 * noise((len(factors), 2))])
    assert mutual_information_gap(code, factors) == pytest.approx(1.0, abs=0.02)
    assert attribute_predictability(code, factors) == pytest.approx(1.0, abs=0.01)
    found = dci(code, factors)
    assert found.disentanglement == pytest.approx(1.0, abs=1e-6)
    assert found.completeness == pytest.approx(1.0, abs=1e-6)
    assert found.error == pytest.approx(0.02, abs=0.005)  # what the penalty takes off a weight
    assert factor_vae_metric(code, factors) == 1.0
    assert modularity(code[:, :3], factors) == pytest.approx(1.0, abs=1e-6)


def test_every_metric_of_a_code_that_says_nothing(factors):
    code = noise((len(factors), 4))
    assert mutual_information_gap(code, factors) == pytest.approx(0.0, abs=0.02)
    assert attribute_predictability(code, factors) == pytest.approx(0.0, abs=0.02)
    assert dci(code, factors).error == pytest.approx(1.0, abs=0.05)
    assert factor_vae_metric(code, factors) < 0.5


def test_a_rotated_code_says_everything_and_is_not_disentangled(factors):
    rotation = np.linalg.qr(noise((3, 3), 1))[0]
    code = (factors - factors.mean(axis=0)) / factors.std(axis=0) @ rotation
    found = dci(code, factors)
    assert found.error < 0.1 and found.disentanglement < 0.7 and found.completeness < 0.7
    assert mutual_information_gap(code, factors) < 0.6
    assert modularity(code, factors) < 0.95


def test_a_factor_that_two_dimensions_hold_has_no_gap(factors):
    code = np.column_stack([factors, factors[:, 0]])
    whole, twice = mutual_information_gap(factors, factors), mutual_information_gap(code, factors)
    assert whole == pytest.approx(1.0)
    assert twice == pytest.approx(2.0 / 3.0)
    assert attribute_predictability(code, factors) == pytest.approx(2.0 / 3.0)
    assert modularity(code, factors) == pytest.approx(1.0)
    assert dci(code, factors).disentanglement == pytest.approx(1.0)


def test_modularity_and_sap_are_their_formulas_on_a_mixed_dimension():
    """A dimension that holds two bits tells log 2 of each; one of three factors it leaves out."""
    factors = np.array(list(itertools.product((0, 1), repeat=3)), float)
    code = np.column_stack([factors[:, 0] + 2.0 * factors[:, 1], factors[:, 2]])
    assert modularity(code, factors) == pytest.approx((1.0 - 1.0 / 2.0 + 1.0) / 2.0)
    # R^2 of the bits in their sum: 1 / 5 and 4 / 5
    assert attribute_predictability(code, factors) == pytest.approx((0.2 + 0.8 + 1.0) / 3.0)


def test_the_lasso_meets_its_optimality_conditions():
    x, y = noise((200, 4)) @ noise((4, 4), 1), noise((200, 2), 2)
    weights = _lasso(x, y, 0.05)
    slope = x.T @ (y - x @ weights) / 200
    used = weights != 0.0
    np.testing.assert_allclose(slope[used], 0.05 * np.sign(weights[used]), atol=1e-6)
    assert (np.abs(slope[~used]) <= 0.05 + 1e-6).all()


def test_what_cannot_be_scored_is_refused(factors):
    for metric in (mutual_information_gap, modularity, attribute_predictability, dci):
        with pytest.raises(DataError, match=r"received codes of shape \(4, 2, 1\)"):
            metric(np.zeros((4, 2, 1)), np.zeros((4, 2)))
        with pytest.raises(DataError, match="nothing to tell apart"):
            metric(factors, factors[:, :1])
        with pytest.raises(DataError, match="NaN or infinity"):
            metric(np.full_like(factors, np.nan), factors)
        with pytest.raises(DataError, match="Factor 1 has one value alone"):
            metric(factors, np.column_stack([factors[:, 0], np.ones(len(factors))]))
    with pytest.raises(UsageError, match="Expected votes to be"):
        factor_vae_metric(factors, factors, votes=0)
    assert factor_vae_metric(np.zeros_like(factors), factors) == pytest.approx(1 / 3)
