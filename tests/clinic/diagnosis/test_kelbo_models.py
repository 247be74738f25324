"""Every kind of model of kelbo's is measured, and the figures are those that it reports itself."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.errors import DataError
from tests.clinic.diagnosis import kelbo_models
from tests.clinic.diagnosis.models import images


@pytest.mark.parametrize(
    ("make", "sampled"),
    [
        (kelbo_models.of_images, False),
        (kelbo_models.conditional, False),
        (kelbo_models.of_pseudo_inputs, True),
        (kelbo_models.with_weights_in_the_objective, False),
    ],
)
def test_a_model_with_parts_of_ones_own_is_measured(make, sampled):
    model = make()
    x = kelbo_models.labelled_images() if model.context_shapes else images()
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]
    diagnosis = kelbo.diagnose(model, x)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)
    assert diagnosis.unmeasured == {}
    figures = diagnosis.figures
    for name in ("effective_beta", "reconstruction_weight", "kl_weight"):
        assert figures[name] == pytest.approx(1.0, rel=3e-3), name
    logged = model.evaluate(x, batch_size=120, verbose=0, return_dict=True)
    assert figures["kl"] == pytest.approx(logged["kl"], rel=0.2 if sampled else 1e-4)
    assert figures["elbo"] == pytest.approx(figures["reconstruction"] - figures["kl"])
    assert ("kl_per_dimension" in figures) != sampled
    assert len(figures["activity"]) == model.latent_dim


def test_conditions_go_by_their_names():
    model, x = kelbo_models.conditional(), kelbo_models.labelled_images()
    figures = kelbo.diagnose(model, x).figures
    assert kelbo.diagnose(model, [x["x"], x["label"]]).figures == figures
    with pytest.raises(DataError, match=r"x and 1 condition\(s\) of shape \(2,\), received 1"):
        kelbo.diagnose(model, x["x"])
    other = {"x": x["x"], "label": 1.0 - x["label"]}
    assert kelbo.diagnose(model, other).figures["kl"] != figures["kl"]


def test_a_weight_of_a_prior_that_is_not_finite_is_named():
    model = kelbo_models.conditional()
    model.prior.dense.bias.assign([np.nan] * 3)
    (found,) = kelbo.diagnose(model, kelbo_models.labelled_images()).findings
    assert found.name == "not-finite" and "bias is not finite" in found.title


def test_what_the_encoder_masks_does_not_count():
    model, x = kelbo_models.padded(), images().reshape(-1, 4, 4) + 0.0
    x[::2, 2:] = 0.0
    subject = subject_of(model)
    observed = subject.data(x).observed
    np.testing.assert_array_equal(observed[..., 0], x.any(axis=-1))
    diagnosis = kelbo.diagnose(model, x)
    assert diagnosis.figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    logged = model.evaluate(x, batch_size=120, verbose=0, return_dict=True)
    assert diagnosis.figures["reconstruction"] == pytest.approx(logged["reconstruction"], abs=0.5)
