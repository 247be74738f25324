"""Every kind of model of kelbo's is measured, and the figures are those that it reports itself."""

import numpy as np
import pytest

import kelbo
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.errors import DataError, UsageError
from tests import kinds
from tests.clinic.diagnosis import kelbo_models
from tests.clinic.diagnosis.models import images
from tests.support import UntabledPrior, to_numpy

MODELS = {
    "z-of-rank-3": kelbo_models.of_images,
    "no-closed-form": lambda: kelbo_models.made(
        kelbo_models.encoder(), kelbo_models.decoder(), UntabledPrior()
    ),
    **{
        name: lambda make=make: kelbo_models.ready(make())
        for name, make in kinds.MODELS.items()
        if name not in ("flow", "two-groups", "prior-of-the-posterior")
    },
}


def data(name):
    return kinds.inputs(name, 120) if name in kinds.MODELS else images()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_parts_of_ones_own_is_measured(name):
    model, x = MODELS[name](), data(name)
    before = [to_numpy(weight) for weight in model.weights]
    diagnosis = kelbo.diagnose(model, x)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value)
    assert diagnosis.unmeasured == {}
    figures = diagnosis.figures
    weight = float(to_numpy(getattr(model.objective, "w", 1.0)))
    assert figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    assert figures["reconstruction_weight"] == pytest.approx(weight, rel=3e-3)
    assert figures["kl_weight"] == pytest.approx(weight, rel=3e-3)
    kl = to_numpy(model.trace(x).kl)
    sampled = name == "no-closed-form"
    error = 4.5 * kl.std() * np.sqrt(2.0 / len(kl)) if sampled else 1e-4 * kl.mean()
    assert figures["kl"] == pytest.approx(kl.mean(), abs=error)
    assert figures["elbo"] == pytest.approx(figures["reconstruction"] - figures["kl"])
    assert ("kl_per_dimension" in figures) != sampled
    assert len(figures["activity"]) == model.latent_dim


def test_a_prior_that_is_made_of_the_posterior_leaves_its_weight_unmeasured():
    model = kelbo_models.ready(kinds.MODELS["prior-of-the-posterior"]())
    x = kinds.inputs("prior-of-the-posterior", 120)
    diagnosis = kelbo.diagnose(model, x)
    assert "the prior is made of the posterior" in diagnosis.unmeasured["kl_weight"]
    assert diagnosis.figures["effective_beta"] == 1.0
    assert diagnosis.figures["kl"] == pytest.approx(to_numpy(model.trace(x).kl).mean(), rel=1e-4)


def test_conditions_go_by_their_names():
    model, x = MODELS["conditional"](), data("conditional")
    figures = kelbo.diagnose(model, x).figures
    assert kelbo.diagnose(model, [x["x"], x["c"]]).figures == figures
    with pytest.raises(DataError, match=r"x and 1 condition\(s\) of shape \(3,\), received 1"):
        kelbo.diagnose(model, x["x"])
    other = {"x": x["x"], "c": np.roll(x["c"], 1, axis=1)}
    assert kelbo.diagnose(model, other).figures["kl"] != figures["kl"]


def test_a_weight_of_a_prior_that_is_not_finite_is_named():
    model = MODELS["conditional"]()
    model.prior.network.layers[-1].bias.assign([np.nan] * kinds.LATENT)
    (found,) = kelbo.diagnose(model, data("conditional")).findings
    assert found.name == "not-finite" and "bias is not finite" in found.title


def test_what_the_encoder_masks_does_not_count():
    model, x = kelbo_models.padded(), images().reshape(-1, 4, 4) + 0.0
    x[::2, 2:] = 0.0
    np.testing.assert_array_equal(subject_of(model).data(x).observed[..., 0], x.any(axis=-1))
    figures = kelbo.diagnose(model, x).figures
    assert figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    logged = model.evaluate(x, batch_size=120, verbose=0, return_dict=True)
    assert figures["reconstruction"] == pytest.approx(logged["reconstruction"], abs=0.5)


def test_a_model_of_several_groups_is_refused():
    model = kelbo_models.ready(kinds.MODELS["two-groups"]())
    with pytest.raises(UsageError, match="one group of latents.*model.evaluate"):
        kelbo.diagnose(model, kinds.inputs("two-groups", 20))
