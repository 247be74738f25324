"""Every posterior with a prior: it trains, is judged, explained, saved and loaded."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.bounds import statistics
from kelbo.errors import UsageError
from tests.latents import PAIRS, POSTERIORS, D, model
from tests.support import SHAPE, data, to_numpy, weights

X = data(16)


@pytest.mark.sample(5)
@pytest.mark.parametrize(("posterior", "prior"), PAIRS, ids=map("+".join, PAIRS))
def test_a_model_trains_is_judged_and_comes_back_from_a_file(posterior, prior, tmp_path):
    vae = model(posterior, prior)
    vae.compile(keras.optimizers.Adam(1e-2))
    before = [to_numpy(weight) for weight in vae.trainable_weights]
    codes = vae.codes(X)  # compiled with the weights of now
    loss = vae.fit(X, batch_size=16, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    for weight, old in zip(vae.trainable_weights, before, strict=True):
        assert np.any(to_numpy(weight) != old), weight.path

    # What was compiled before the step uses the weights after it.
    q = vae.posterior.distribution(vae.encode_once(X)["posterior"])
    code = to_numpy(q.code())  # at once: on JAX a prediction takes the weights' arrays away
    np.testing.assert_allclose(vae.codes(X), code, rtol=1e-4, atol=1e-5)
    assert np.any(vae.codes(X) != codes)
    np.testing.assert_allclose(vae.reconstruct(X), vae.decode(vae.codes(X)), rtol=1e-4, atol=1e-5)
    assert vae.sample(3, seed=0).shape == (3, *SHAPE)
    assert vae.encoder.predict(X, verbose=0).shape == (16, D)
    encoded, deterministic = vae.encode(X), vae.deterministic_encoder().predict(X, verbose=0)
    for name, value in encoded.items():
        np.testing.assert_allclose(deterministic[name], value, rtol=1e-4, atol=1e-5)

    (part,) = statistics(vae, [X], 8, 16, 0)
    assert np.isfinite(part["bound"]).all()
    diagnosis = kelbo.diagnose(vae, X)
    assert np.isfinite([diagnosis.figures["elbo"], diagnosis.figures["effective_beta"]]).all()

    vae.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    for one, other in zip(weights(vae), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    (other,) = statistics(again, [X], 8, 16, 0)
    np.testing.assert_allclose(other["bound"], part["bound"], rtol=1e-5)
    losses = [each.evaluate(X, batch_size=16, verbose=0) for each in (vae, again)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_drawing_encoder_comes_back_from_a_file_of_its_own(tmp_path):
    vae = model("inverse-autoregressive", "standard-normal")
    vae.encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    for one, other in zip(weights(vae.encoder), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.predict(X, verbose=0).shape == (16, D)


def test_the_mean_of_each_dimension_is_known_of_these_alone():
    known = set()
    for name in POSTERIORS:
        vae = model(name, "uniform-sphere" if name == "von-mises-fisher" else "standard-normal")
        if "mean" in vae.code_statistics(vae.encode_once(X)):
            known.add(name)
    assert known == {"gaussian", "full-covariance", "householder"}
    with pytest.raises(UsageError, match="mean of a Transformed has no closed form"):
        model("planar", "standard-normal").posterior_mean(X)


@pytest.mark.parametrize(
    ("posterior", "prior", "message"),
    [
        ("von-mises-fisher", "standard-normal", r"on the unit sphere, where a StandardNormalPrior"),
        ("von-mises-fisher", "mixture", r"Use prior=kelbo.UniformSpherePrior\(\)"),
        ("von-mises-fisher", "real-nvp", r"Use prior=kelbo.UniformSpherePrior\(\)"),
        ("gaussian", "uniform-sphere", "off the unit sphere, where a GaussianPosterior draws z"),
        ("planar", "uniform-sphere", "off the unit sphere, where a FlowPosterior draws z"),
        ("planar", "vamp", "knows that of its own draws alone"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(posterior, prior, message):
    with pytest.raises(UsageError, match=message):
        model(posterior, prior)
