"""Truth 9: no gradient of the KL below the floor, and all of it above."""

import keras
import numpy as np
import pytest
from keras import ops

import kelbo
from kelbo.distributions import Normal
from kelbo.errors import UsageError
from kelbo.trace import Group, Sizes, Trace
from tests import kinds
from tests.support import Untabled, UntabledPrior, gradient, tiny_vae, to_numpy

# Three data, two dimensions; the KL of each is mu^2 / 2, and its mean 0.0417 and 2.3333.
MU = np.float32([[0.5, 2.0], [0.0, -1.0], [0.0, 3.0]])
KL = MU**2 / 2.0
LOG_PX_Z = np.float32([-3.0, -4.0, -5.0])


def trace(mu=MU, kind=Normal, samples=None):
    mu, zeros = ops.convert_to_tensor(mu), ops.zeros((2,))
    z = mu if samples is None else ops.stack([mu] * samples)
    log_px_z = LOG_PX_Z if samples is None else np.stack([LOG_PX_Z] * samples)
    q, p = kind(mu, ops.zeros_like(mu)), kind(zeros, zeros)
    sizes = Sizes(data_dim=5, latent_dim=2)
    return Trace((Group(z, q, p),), ops.convert_to_tensor(log_px_z), None, None, sizes)


CASES = {
    "below one dimension": (kelbo.FreeBits(0.5), [0.0, 1.0], 0.5 + KL.mean(0)[1]),
    "below no dimension": (kelbo.FreeBits(0.01), [1.0, 1.0], KL.mean(0).sum()),
    "below both": (kelbo.FreeBits(3.0, beta=2.0), [0.0, 0.0], 12.0),
    "above the group": (kelbo.FreeBits(2.0, "group", beta=2.0), [2.0, 2.0], 2.0 * KL.sum(1).mean()),
    "below the group": (kelbo.FreeBits(2.5, "group"), [0.0, 0.0], 2.5),
}


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_zero_below_the_floor_and_whole_above(name):
    objective, weights, cost = CASES[name]
    slope = gradient(lambda mu: objective.terms(trace(mu))["loss"], MU)
    np.testing.assert_allclose(slope, np.array(weights) * MU, rtol=1e-6)
    loss = to_numpy(objective.terms(trace())["loss"])
    assert loss.mean() == pytest.approx(cost - LOG_PX_Z.mean(), rel=1e-6)


def test_without_a_floor_it_is_the_elbo_datum_by_datum():
    found = kelbo.FreeBits(0.0).terms(trace(samples=4))
    np.testing.assert_allclose(to_numpy(found["loss"]), KL.sum(1) - LOG_PX_Z, rtol=1e-6)
    assert float(to_numpy(found["free"])) == 0.0


def test_the_bound_and_the_share_of_free_dimensions_are_told():
    found = kelbo.FreeBits(0.5).terms(trace())
    np.testing.assert_allclose(to_numpy(found["elbo"]), LOG_PX_Z - KL.sum(1), rtol=1e-6)
    assert float(to_numpy(found["free"])) == 0.5


def test_a_sampled_kl_has_a_floor_per_group():
    found = kelbo.FreeBits(0.0, "group").terms(trace(kind=Untabled, samples=4))
    np.testing.assert_allclose(to_numpy(found["kl"]), to_numpy(found["loss"]) + LOG_PX_Z, rtol=1e-5)


@pytest.mark.parametrize("per", ["dimension", "group"])
def test_a_ladder_has_a_floor_for_each_of_its_groups(per):
    model = kinds.ladder()
    if per == "dimension":
        objective, floors = kelbo.FreeBits(50.0), 4
    else:
        objective, floors = kelbo.FreeBits(50.0, "group"), 2
    terms = objective.terms(model.trace(kinds.inputs("two-groups", 8)))
    cost = to_numpy(terms["loss"]) + to_numpy(terms["reconstruction"])
    np.testing.assert_allclose(cost, 50.0 * floors, rtol=1e-4)
    assert float(to_numpy(terms["free"])) == 1.0


def test_a_dimension_without_a_closed_form_is_refused_when_the_model_is_made():
    with pytest.raises(UsageError, match="Normal from Untabled there is none. Use per='group'"):
        tiny_vae(objective=kelbo.FreeBits(0.1), prior=UntabledPrior())
    model = tiny_vae(objective=kelbo.FreeBits(0.1, "group"), prior=UntabledPrior())
    with pytest.raises(UsageError, match="Use per='group'"):
        model.objective = kelbo.FreeBits(0.1)
    assert model.objective.per == "group"
    with pytest.raises(UsageError, match="per 'dimension' or 'group', received 'pixel'"):
        kelbo.FreeBits(0.1, "pixel")


def test_a_schedule_of_the_floor_is_logged():
    objective = kelbo.FreeBits(keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.0, 3.0]))
    assert objective.scheduled
    assert objective.logged[-1] == "nats"
    assert "3 nats per dimension" in objective.in_words()
