"""Truth 9: gamma |KL - C| pulls the KL to C from both sides."""

import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from tests.objectives.test_free_bits import KL, LOG_PX_Z, MU, trace
from tests.support import gradient, tiny_ae, to_numpy


@pytest.mark.parametrize("capacity", [0.0, 0.5, 2.0, 10.0])
def test_the_kl_is_pulled_to_the_capacity_from_both_sides(capacity):
    objective = kelbo.Capacity(capacity, gamma=3.0)
    slope = gradient(lambda mu: objective.terms(trace(mu))["loss"], MU)
    sign = np.sign(KL.sum(1) - capacity)[:, None]
    # At KL = C itself the backends' |.| have slope 0 or 1; none of these lies there.
    off = KL.sum(1) != capacity
    np.testing.assert_allclose(slope[off], (3.0 * sign * MU)[off], rtol=1e-6)
    loss = to_numpy(objective.terms(trace())["loss"])
    np.testing.assert_allclose(loss, 3.0 * np.abs(KL.sum(1) - capacity) - LOG_PX_Z, rtol=1e-6)


def test_it_has_no_single_beta_and_says_so():
    objective = kelbo.Capacity(5.0, 100.0)
    assert objective.effective_beta(None) is None
    assert objective.in_words() == "the KL held at 5 nats with gamma 100"


def test_an_autoencoder_has_no_kl_to_hold():
    model = tiny_ae()
    with pytest.raises(UsageError, match="Capacity needs a prior.*kelbo.Reconstruction"):
        model.objective = kelbo.Capacity()
