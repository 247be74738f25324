"""Designs: which parts and options a model has, and the Python that makes it."""

import keras
import pytest

import kelbo
from kelbo.errors import UsageError
from kelbo.presets import PRESETS, Design
from kelbo.presets.build import build
from kelbo.presets.code import code
from tests.support import unnamed

SHAPE, LATENT = (12, 12, 1), 4


@pytest.mark.parametrize("name", PRESETS)
def test_the_python_of_a_model_makes_it(name):
    design = Design.of(name, {"network": "mlp"})
    program = {}
    exec(code(design, SHAPE, LATENT), program)
    built, written = build(design, SHAPE, LATENT), program["model"]
    assert type(built) is type(written)
    for part in ("posterior", "prior", "likelihood", "objective"):
        assert described(getattr(built, part)) == described(getattr(written, part))
    assert [w.shape for w in built.weights] == [w.shape for w in written.weights]


def described(part):
    """The configuration of a part, of which the names of its layers may be any."""
    if part is None:
        return None
    config = unnamed(keras.saving.serialize_keras_object(part))
    config["config"].pop("network", None)
    if "base" in config["config"]:
        del config["config"]["base"]["config"]["network"]
    return config


@pytest.mark.parametrize(
    ("model", "parts", "options", "message"),
    [
        ("vae", {"prior": "normal"}, {}, "no prior 'normal'.*Did you mean 'standard-normal'"),
        ("iwae", {"objective": "elbo"}, {}, "What makes a model 'iwae' is its objective 'iwae'"),
        ("vae", {}, {"beta": 1, "objective.beta": 2}, "option beta is set twice"),
        ("vae", {}, {"prior.beta": 1}, "no option of the model 'vae' 'prior.beta'|takes no beta"),
        ("vae", {"likelihood": "gaussian"}, {"variance": 0}, "variance to be a finite number >="),
        ("vae", {}, {"variance": 1.0}, "no option of the model 'vae' 'variance'"),
    ],
)
def test_choices_that_do_not_fit_are_refused(model, parts, options, message):
    with pytest.raises(UsageError, match=message):
        Design.of(model, parts, options)


def test_an_option_may_be_spelled_with_its_family():
    vae = kelbo.presets.vae(SHAPE, 2, "mlp", "gaussian", **{"likelihood.variance": 0.25})
    assert vae.likelihood.variance == 0.25
    assert kelbo.presets.vae(SHAPE, 2, "mlp", "gaussian", variance=0.5).likelihood.variance == 0.5


def test_a_part_may_be_another():
    vae = kelbo.presets.beta_vae(SHAPE, 2, "mlp", "gaussian-shared", beta=2.0)
    assert isinstance(vae.likelihood, kelbo.GaussianLikelihood)
    assert vae.effective_beta == 2.0
