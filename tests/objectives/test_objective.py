"""What objectives compute from a trace, against the numbers in it."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import kelbo
from kelbo.objectives import Objective
from kelbo.objectives.objective import elbo_terms
from kelbo.trace import Sizes, Trace
from tests.support import to_numpy

RECONSTRUCTION = np.float32([-90.0, -80.0, -100.0])
KL = np.float32([10.0, 20.0, 5.0])
SIZES = Sizes(data_dim=784, latent_dim=16)


def trace(log_px_z=RECONSTRUCTION, kl=KL):
    kl = None if kl is None else keras.ops.convert_to_tensor(kl)
    group = SimpleNamespace(log_q=kl, log_p=None if kl is None else 0.0 * kl, kl=kl)
    log_px_z, step = map(keras.ops.convert_to_tensor, (log_px_z, 2))
    return Trace((group,), log_px_z, px_z=None, x=None, sizes=SIZES, step=step)


def terms(objective, trace):
    return {name: to_numpy(value) for name, value in objective.terms(trace).items()}


def test_the_elbo_is_reconstruction_minus_kl():
    values = elbo_terms(trace())
    np.testing.assert_allclose(to_numpy(values["reconstruction"]), RECONSTRUCTION)
    np.testing.assert_allclose(to_numpy(values["kl"]), KL)
    np.testing.assert_allclose(to_numpy(values["elbo"]), [-100.0, -100.0, -105.0])


def test_sample_axes_are_averaged_away():
    samples = RECONSTRUCTION + np.float32([[[1.0]], [[-3.0]]]) * np.float32([[1.0], [2.0]])
    kls = KL + np.float32([[[0.5]], [[1.5]]]) * np.float32([[1.0], [1.0]])
    values = elbo_terms(trace(samples, kls))
    np.testing.assert_allclose(to_numpy(values["reconstruction"]), RECONSTRUCTION - 1.5)
    np.testing.assert_allclose(to_numpy(values["kl"]), KL + 1.0)


@pytest.mark.parametrize("beta", [0.0, 0.0049, 1.0, 4.0, 49])
def test_the_elbo_s_loss_weighs_the_kl_and_nothing_else(beta):
    values = terms(kelbo.ELBO(beta), trace())
    np.testing.assert_allclose(values["loss"], beta * KL - RECONSTRUCTION, rtol=1e-6)
    np.testing.assert_allclose(values["elbo"], RECONSTRUCTION - KL)
    assert kelbo.ELBO(beta).effective_beta(SIZES) == beta


def test_the_article_s_loss_is_the_elbo_s_with_its_effective_beta_over_d():
    article = kelbo.ArticleObjective()
    assert article.effective_beta(SIZES) == pytest.approx(0.0049)
    np.testing.assert_allclose(
        784 * terms(article, trace())["loss"],
        terms(kelbo.ELBO(beta=0.0049), trace())["loss"],
        rtol=1e-6,
    )


def test_the_article_s_metrics_are_means_in_its_units_and_sums_in_nats_beside_them():
    values = terms(kelbo.ArticleObjective(weight=0.5), trace())
    np.testing.assert_allclose(values["reco_loss"], -RECONSTRUCTION / 784, rtol=1e-6)
    np.testing.assert_allclose(values["kl_loss"], 0.5 * KL / 16, rtol=1e-6)
    np.testing.assert_allclose(values["total_loss"], values["reco_loss"] + values["kl_loss"])
    np.testing.assert_array_equal(values["total_loss"], values["loss"])
    np.testing.assert_allclose(values["elbo"], RECONSTRUCTION - KL)


def test_the_reconstruction_s_loss_is_minus_log_px_z_and_has_no_beta():
    values = terms(kelbo.Reconstruction(), trace(kl=None))
    np.testing.assert_allclose(values["loss"], -RECONSTRUCTION)
    np.testing.assert_allclose(values["reconstruction"], RECONSTRUCTION)
    assert kelbo.Reconstruction().effective_beta(SIZES) is None


def test_a_trace_without_kl_has_no_elbo():
    with pytest.raises(ValueError, match="no KL"):
        elbo_terms(trace(kl=None))


OBJECTIVES = [
    kelbo.ELBO(),
    kelbo.ELBO(2.5),
    kelbo.ELBO(kelbo.LinearWarmup(10, 3.0)),
    kelbo.ELBO(keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.0, 1.0])),
    kelbo.ArticleObjective(),
    kelbo.ArticleObjective(0.5),
    kelbo.Reconstruction(),
    kelbo.IWAE(3),
]
every = pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)


@every
def test_every_logged_name_is_a_term(objective):
    given = trace(np.stack([RECONSTRUCTION] * 3), np.stack([KL] * 3))
    assert {"loss", *objective.logged} == set(objective.terms(given))


@every
def test_rebuilds_from_its_config(objective):
    saving = keras.saving
    clone = saving.deserialize_keras_object(saving.serialize_keras_object(objective))
    assert isinstance(clone, Objective)
    assert type(clone) is type(objective)
    assert clone.get_config() == objective.get_config()
    assert clone.logged == objective.logged
    assert clone.effective_beta(SIZES) == objective.effective_beta(SIZES)
