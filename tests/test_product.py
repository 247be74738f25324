"""Any likelihood, prior, posterior and objective: what is not refused trains, is judged, reloads.

`make test` runs a sample of the product, drawn with the seed in the header of the run, in which
every part is at least once; `make product` runs all of it.
"""

import itertools
import os
import random
import re

import keras
import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from kelbo.presets import FAMILIES, Design
from kelbo.presets.build import build
from tests.conftest import SEED
from tests.support import to_numpy

FAMILIES_OF_THE_EQUATION = ("likelihood", "posterior", "prior", "objective")
SHAPE, LATENT, COUNT = (11, 11, 1), 4, 8

# What does not go together: a condition on the names of the parts, and the reason that is given.
POINTS = ("deterministic", "sigmoid-code", "top-k-code")
# Of an autoencoder alone, and those that ask for no density of z.
OF_POINTS = ("reconstruction", "rae", "contractive", "denoising", "sparse")
WITHOUT_DENSITY = (*OF_POINTS, "wae")
SPHERE = ("uniform-sphere", "vamp", "none")
OF_IMAGES = ("bernoulli", "continuous-bernoulli", "discretised-logistic-mixture")


def is_point(one):
    return one["posterior"] in POINTS


RULES = [
    (
        lambda one: one["posterior"] == "von-mises-fisher" and one["prior"] not in SPHERE,
        "draws z on the unit sphere.*UniformSpherePrior",
    ),
    (
        lambda one: one["prior"] == "uniform-sphere" and one["posterior"] != "von-mises-fisher",
        "no density off the unit sphere.*VonMisesFisherPosterior",
    ),
    (
        lambda one: one["prior"] == "vamp" and (is_point(one) or one["posterior"] == "planar"),
        "knows that of its own draws alone.*GaussianPosterior",
    ),
    (
        lambda one: is_point(one) and one["objective"] not in WITHOUT_DENSITY,
        "needs|density",
    ),
    (
        lambda one: one["prior"] == "none" and one["objective"] not in OF_POINTS,
        "prior|has no KL",
    ),
    (
        lambda one: (
            one["objective"] in OF_POINTS and not (is_point(one) and one["prior"] == "none")
        ),
        "kelbo.AE",
    ),
    (
        lambda one: one["prior"] == "none" and not is_point(one),
        "DeterministicPosterior",
    ),
    (
        lambda one: one["objective"] == "sparse" and one["posterior"] != "sigmoid-code",
        "activation='sigmoid'",
    ),
    (
        lambda one: (
            one["objective"] in ("free-bits", "beta-tc")
            and (one["posterior"], one["prior"]) != ("gaussian", "standard-normal")
        ),
        "per='group'|Gaussian",
    ),
    (
        lambda one: one["objective"] == "dip-vae" and one["posterior"] != "gaussian",
        "Gaussian",
    ),
    (
        lambda one: (one["objective"], one["prior"]) == ("wae", "mixture"),
        "no gradient",
    ),
    (
        lambda one: one["objective"] == "ssim" and one["likelihood"] not in OF_IMAGES,
        "images in|the mean of",
    ),
]


def cases(whole):
    """Names of the four parts: all, or a sample in which each is at least once."""
    names = {family: list(FAMILIES[family]) for family in FAMILIES_OF_THE_EQUATION}
    product = [dict(zip(names, each, strict=True)) for each in itertools.product(*names.values())]
    if whole:
        return product
    generator = random.Random(f"{os.environ[SEED]} product")
    generator.shuffle(product)
    allowed = [one for one in product if not reasons(one)]
    chosen = [one for one in product if reasons(one)][: len(RULES)]
    missing = {(family, name) for family in names for name in names[family]}
    for one in allowed:
        if missing & set(one.items()):
            chosen.append(one)
            missing -= set(one.items())
    return chosen


def reasons(one):
    return [reason for condition, reason in RULES if condition(one)]


def pytest_generate_tests(metafunc):
    if "parts" in metafunc.fixturenames:
        drawn = cases(metafunc.config.option.whole)
        metafunc.parametrize("parts", drawn, ids=["-x-".join(one.values()) for one in drawn])


def values(support):
    """Data of a support, (COUNT, *SHAPE)."""
    generator = np.random.default_rng(0)
    if support.kind == "counts":
        return generator.poisson(3.0, (COUNT, *SHAPE)).astype("float32")
    if support.kind == "classes":
        high = int(support.high)
        return generator.integers(0, high + 1, (COUNT, *SHAPE)).astype("float32")
    if support.kind == "levels":
        return (generator.integers(0, 256, (COUNT, *SHAPE)) / 255.0).astype("float32")
    if support.kind == "open" and support.high > 1.0:
        return generator.lognormal(size=(COUNT, *SHAPE)).astype("float32")
    if support.kind in ("interval", "open"):
        return generator.uniform(0.05, 0.95, (COUNT, *SHAPE)).astype("float32")
    return generator.standard_normal((COUNT, *SHAPE)).astype("float32")


def test_what_is_not_refused_trains_is_judged_and_reloads(parts, tmp_path):
    design = Design.of("vae", {**parts, "network": "mlp"})
    refused = reasons(parts)
    if refused:
        with pytest.raises(UsageError) as caught:
            build(design, SHAPE, LATENT, seed=0)
        assert any(re.search(reason, str(caught.value)) for reason in refused), caught.value
        return
    model = build(design, SHAPE, LATENT, seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    x = values(model.likelihood.support)
    before = [to_numpy(weight) for weight in model.trainable_weights]
    history = model.fit(x, batch_size=COUNT // 2, epochs=1, verbose=0).history
    assert all(np.isfinite(value).all() for value in history.values()), history
    moved = [
        (to_numpy(weight) != old).any()
        for weight, old in zip(model.trainable_weights, before, strict=True)
    ]
    assert all(moved), [
        w.path for w, m in zip(model.trainable_weights, moved, strict=True) if not m
    ]
    judged = model.evaluate(x, batch_size=COUNT, verbose=0, return_dict=True)
    assert all(np.isfinite(value) for value in judged.values()), judged
    model.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.reconstruct(x), model.reconstruct(x), rtol=1e-5, atol=1e-6)
    if model.has_prior:
        assert np.isfinite(model.sample(2, seed=0)).all()
        np.testing.assert_allclose(again.sample(2, seed=0), model.sample(2, seed=0), atol=1e-6)
    if model.has_bound:
        bounds = [each.log_likelihood(x, num_samples=3, seed=0) for each in (model, again)]
        assert np.isfinite(bounds[0]).all()
        np.testing.assert_allclose(*bounds, rtol=1e-5, atol=1e-4)
