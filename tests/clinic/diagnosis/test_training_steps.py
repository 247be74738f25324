"""A model that is not trained yet is called so, and not broken."""

import keras
import pytest
from keras import layers

import kelbo
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.clinic.diagnosis.training_steps import steps_taken
from tests.clinic.diagnosis.models import collapse, foreign_vae, healthy_vae, images
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
