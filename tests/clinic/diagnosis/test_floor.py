"""A distribution offers its own floor, or there is none; and nothing is compared with NaN."""

from dataclasses import replace

import numpy as np
import pytest
from keras import layers, ops

import kelbo
from kelbo.clinic.diagnosis.diagnose import LEARNING_CHECKS, OTHER_CHECKS, examine
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.clinic.diagnosis.floor import check_elbo
from kelbo.clinic.diagnosis.observation import observe
from kelbo.distributions import Factorised
from tests.clinic.diagnosis import models
from tests.clinic.diagnosis.models import DIM, LATENT, images


class Laplace(Factorised):
    """exp(-|x - mean|) / 2 in each dimension; it knows no best constant."""

    def __init__(self, mean, event_rank):
        super().__init__(event_rank)
        self.location = mean

    def log_prob_per_dimension(self, value):
        return -ops.abs(value - self.location) - np.log(2.0)

    def sample(self, seed, sample_shape=()):
        raise NotImplementedError


class LaplaceWithFloor(Laplace):
    """The median fits best."""

    def best_constant(self, x):
        return type(self)(np.broadcast_to(np.median(x, axis=0), x.shape), self.event_rank)


class LaplaceWithoutNumber(Laplace):
    """Its best constant is NaN."""

    def best_constant(self, x):
        return type(self)(np.full(x.shape, np.nan, "float32"), self.event_rank)


class NotANumber(Laplace):
    def log_prob_per_dimension(self, value):
        return super().log_prob_per_dimension(value) * np.nan


class LaplaceLikelihood(kelbo.Likelihood):
    kind = Laplace

    def parameters(self, outputs):
        return {"mean": outputs[0]}

    def distribution(self, parameters):
        return self.kind(parameters["mean"], self.event_rank)

    def mean_layer(self):
        return layers.Identity(name="dec_out")


def of_kind(distribution, bias=0.0):
    """A VAE whose decoder reconstructs the three bits, each pixel moved by `bias`."""
    healthy = models.healthy_vae()
    likelihood = LaplaceLikelihood(healthy.likelihood.network)
    likelihood.kind = distribution
    kernel = models.healthy_weights()[3][0] / 8.0  # of a code of 1 or -1 to 0.5 or -0.5
    healthy.likelihood.network.get_layer("dec_dense").set_weights(
        [kernel, np.full(DIM, 0.5 + bias)]
    )
    model = kelbo.VAE(healthy.posterior, likelihood, seed=0)
    model.compile("adam")
    return model


def names(diagnosis):
    return [found.name for found in diagnosis.findings]


@pytest.mark.parametrize(
    ("distribution", "has_floor"),
    [(Laplace, False), (LaplaceWithFloor, True), (LaplaceWithoutNumber, False)],
)
def test_a_likelihood_of_ones_own_is_judged_by_its_own_floor_or_not_at_all(distribution, has_floor):
    good = kelbo.diagnose(of_kind(distribution), images())
    # Off by 2 everywhere: far below a constant. The model is compared with that, if it is known.
    poor = kelbo.diagnose(of_kind(distribution, bias=2.0), images())
    assert poor.figures["reconstruction"] < good.figures["reconstruction"] - 25.0
    assert "below-independent-pixels" not in names(good)
    assert ("below-independent-pixels" in names(poor)) == has_floor
    if has_floor:
        (found,) = (one for one in poor.findings if one.name == "below-independent-pixels")
        error = np.abs(images() - np.median(images(), axis=0)).sum() / len(images())
        floor = error + DIM * np.log(2.0)
        assert found.figures["independent_pixels"] == pytest.approx(floor, rel=1e-5)
        assert f"the best {distribution.__name__} that is the same for every datum" in found.meaning


def test_a_log_probability_that_is_not_finite_is_named_and_nothing_else():
    diagnosis = kelbo.diagnose(of_kind(NotANumber), images())
    assert names(diagnosis) == ["not-finite"]
    assert diagnosis.findings[0].title == "log p(x|z) is not finite"
    assert "reconstruction" not in diagnosis.figures


NOT_A_NUMBER = {
    "mu": lambda seen: np.full_like(seen.mu, np.nan),
    "log_var": lambda seen: np.full_like(seen.log_var, np.nan),
    "kl": lambda seen: np.nan,
    "log_px_z": lambda seen: np.full_like(seen.log_px_z, np.nan),
    "log_px_other_z": lambda seen: np.full_like(seen.log_px_z, np.nan),
}


@pytest.mark.parametrize("name", NOT_A_NUMBER)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("change", [models.collapse, models.show_mean, lambda model: None])
def test_no_check_finds_anything_by_a_figure_that_is_not_finite(name, value, change):
    model = models.healthy_vae()
    change(model)
    subject = subject_of(model)
    seen = observe(subject, subject.data(images()), subject.only_likelihood)
    checks = (*LEARNING_CHECKS, *OTHER_CHECKS, check_elbo)
    expected = {found.name for found in examine(seen, checks)}
    one = NOT_A_NUMBER[name](seen)
    broken = replace(seen, **{name: np.where(np.isnan(one), value, one)})
    found = {one.name for one in examine(broken, checks)}
    if name == "log_px_other_z":
        assert found <= expected - {"decoder-ignores-z"}
    else:
        assert found in ({"not-finite"}, {"log-var-out-of-range"})
    figures = [one for one in broken.figures.values() if not isinstance(one, str)]
    assert all(np.isfinite(one).all() for one in figures)


def test_codes_without_noise_carry_infinitely_much_and_constant_ones_nothing():
    model = models.healthy_vae()
    model.posterior.log_var.bias.assign(np.full(LATENT, -2000.0))
    subject = subject_of(model)
    seen = observe(subject, subject.data(images()), subject.only_likelihood)
    assert seen.nats_in_z == np.inf and not seen.collapsed
    models.collapse(model)
    model.posterior.log_var.bias.assign(np.full(LATENT, -2000.0))
    seen = observe(subject, subject.data(images()), subject.only_likelihood)
    assert seen.nats_in_z == 0.0 and seen.collapsed


def test_an_effective_beta_that_is_not_a_number_is_none():
    subject = replace(subject_of(models.healthy_vae()), declared_beta=np.nan)
    seen = observe(subject, subject.data(images()), subject.only_likelihood)
    assert seen.effective_beta is None
