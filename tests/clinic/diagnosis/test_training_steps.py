"""A model that is not trained yet is called so, and not broken."""

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.clinic.diagnosis.training_steps import steps_taken
from tests.clinic.diagnosis.models import (
    DIM,
    LATENT,
    SHAPE,
    Sampling,
    collapse,
    foreign_vae,
    healthy_vae,
    images,
)
from tests.support import data, tiny_vae

LEARNT = {"posterior-collapse", "decoder-ignores-z", "below-independent-pixels"}


def of_kelbo():
    vae = tiny_vae()
    vae.compile("adam")
    return vae


@pytest.mark.parametrize(("make", "x"), [(of_kelbo, data(120)), (foreign_vae, images())])
def test_a_model_that_is_not_trained_is_called_so(make, x):
    model = make()
    diagnosis = kelbo.diagnose(model, x)
    assert "not-trained" in [found.name for found in diagnosis.findings]
    assert not LEARNT & {found.name for found in diagnosis.findings}
    assert diagnosis.errors == ()
    model.fit(x, batch_size=60, verbose=0)
    assert subject_of(model).training_steps == 2
    assert "not-trained" not in [found.name for found in kelbo.diagnose(model, x).findings]
    # Compiled again, the weights tell that it has been trained.
    model.compile("adam")
    assert subject_of(model).training_steps is None


def test_a_collapse_of_a_model_that_was_compiled_again_is_an_error():
    model = healthy_vae()
    collapse(model)
    model.compile("adam")
    assert [found.name for found in kelbo.diagnose(model, images()).errors] == [
        "posterior-collapse"
    ]


def started(of_mu=None, of_decoded=None, **options):
    """A VAE whose layers have these options, and heads of mu and of the decoder more."""
    x, z = keras.Input(SHAPE), keras.Input((LATENT,))
    h = layers.Dense(12, "tanh", **options)(layers.Flatten()(x))
    heads = {"mu": of_mu or {}, "log_var": {}}
    q = [layers.Dense(LATENT, name=name, **options, **more)(h) for name, more in heads.items()]
    decoded = layers.Dense(DIM, "sigmoid", **options, **(of_decoded or {}))(z)
    return foreign_vae(
        encoder=keras.Model(x, [*q, Sampling()(q)]),
        decoder=keras.Model(z, layers.Reshape(SHAPE)(decoded)),
    )


@pytest.mark.parametrize("head", ["of_mu", "of_decoded"])
def test_a_head_that_starts_at_0_is_no_collapse(head):
    model = started(**{head: {"kernel_initializer": "zeros"}})
    before = model.get_weights()
    found = kelbo.diagnose(model, images()).findings
    assert [one.name for one in found] == ["not-trained"]
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_where_nothing_tells_whether_a_model_is_trained_a_collapse_is_no_error():
    small = {"kernel_initializer": keras.initializers.RandomNormal(stddev=1e-3)}
    model = started(of_mu=small, use_bias=False)
    diagnosis = kelbo.diagnose(model, images())
    (found,) = [one for one in diagnosis.findings if one.name == "posterior-collapse"]
    assert found.severity == "warning"
    assert found.cure.startswith("Train first, if the model is not trained")


def test_a_lost_input_is_not_said_to_be_for_want_of_training():
    model = started()
    model.encoder.get_layer("mu").set_weights([np.zeros((12, LATENT)), np.zeros(LATENT)])
    (found,) = kelbo.diagnose(model, images()).findings
    assert found.name == "posterior-collapse"
    assert "every model begins so" not in found.cure
    assert found.cure.startswith("Look for a lost input first")


@pytest.mark.parametrize(("steps", "severity"), [(0, "warning"), (7, "error")])
def test_a_weight_that_has_not_begun_to_warm_up_is_no_error(steps, severity):
    model = foreign_vae(weight=0.0)
    model.optimizer.iterations.assign(steps)
    found = {one.name: one for one in kelbo.diagnose(model, images()).findings}
    assert found["kl-does-not-reach-the-encoder"].severity == severity
    assert ("not-trained" in found) == (steps == 0)


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ({}, 0, None),
        ({"bias_initializer": keras.initializers.Constant(0.5)}, 0, None),
        ({"bias_initializer": "random_normal"}, None, None),
        ({"use_bias": False}, None, None),
    ],
)
def test_weights_that_start_at_a_constant_tell(options, before, after):
    layer = layers.Dense(3, **options)
    network = keras.Sequential([keras.Input((2,)), layer])
    assert steps_taken(0, [network]) == steps_taken(None, [network]) == before
    assert steps_taken(5, [network]) == 5
    if layer.use_bias:
        layer.bias.assign([0.0, 0.1, 0.0])
    assert steps_taken(0, [network]) == after
    layer.trainable = False
    assert steps_taken(0, [network]) is None
