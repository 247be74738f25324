"""A part of a model is that part, and the model does not change."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.clinic.anatomy.find_decoder import find_decoder
from kelbo.clinic.anatomy.find_encoder import find_encoder
from kelbo.clinic.anatomy.memory import networks_in
from kelbo.clinic.anatomy.roles import Roles
from tests.clinic.diagnosis.models import LATENT, images
from tests.clinic.foreign import models


def found(model):
    networks = list(networks_in(model))
    from_x = next(find_encoder(networks, Roles()))
    from_z = find_decoder(networks, from_x, (LATENT,), Roles())
    return (
        from_x.network.part(from_x.inputs, from_x.wanted),
        from_z.network.part([from_z.z, *from_z.conditions], [from_z.x]),
    )


@pytest.mark.parametrize(
    "make",
    [
        models.flat,
        models.flat_lambda,
        models.nested,
        models.loss_layer,
        models.unnamed,
        models.with_noise_as_input,
        models.inline,
        models.inline_nested,
        models.inline_clipped,
        models.subclassed,
        models.with_parts_of_every_kind,
    ],
)
def test_the_parts_that_are_found_are_those_of_the_model(make):
    model, encoder, decoder = make()
    from_x, from_z = found(model)
    x = images(5).reshape(5, *from_x.input_shape[1:])
    z = np.linspace(-1, 1, 5 * LATENT).reshape(5, LATENT)
    x, z = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(z, "float32")
    expected = encoder([x] if isinstance(encoder.input, list) else x)
    for one, other in zip(expected, from_x(x), strict=False):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(one(z)) for one in (decoder, from_z))
    )
    own = {id(weight) for weight in model.weights}
    assert all(id(weight) in own for part in (from_x, from_z) for weight in part.weights)


@pytest.mark.parametrize("times", [1, 2])
def test_a_model_can_be_saved_after_it_was_looked_at(times, tmp_path):
    model = models.conditional()
    before = model.get_config()
    for _ in range(times):
        kelbo.diagnose(model, [images(4), np.eye(2)[[0, 1, 0, 1]]], images(4))
    assert model.get_config() == before
    model.save(tmp_path / "model.keras")
