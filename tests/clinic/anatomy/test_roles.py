"""Roles are told by names, then by structure, and two answers are none."""

import keras
import pytest
from keras import layers, ops

from kelbo.clinic.anatomy.find_decoder import find_decoder
from kelbo.clinic.anatomy.find_encoder import find_encoder
from kelbo.clinic.anatomy.memory import networks_in
from kelbo.clinic.anatomy.names import named_input
from kelbo.clinic.anatomy.roles import RoleError, Roles
from kelbo.errors import UsageError
from tests.clinic.diagnosis.models import DIM, LATENT, Sampling, make_decoder, make_encoder
from tests.clinic.foreign import models


def encoder_of(model, **told):
    return next(find_encoder(list(networks_in(model)), Roles.of(told)))


def test_two_layers_that_a_layer_of_the_authors_gets_are_mu_and_log_var():
    model, encoder, _ = models.unnamed()
    place = encoder_of(model)
    assert (place.mu.layer, place.second.layer) == tuple(encoder.output_names)
    assert str(place).endswith(f"up to {' and '.join(encoder.output_names)}, in this order")


def test_two_pairs_are_none():
    x = keras.Input((DIM,))
    pairs = [[layers.Dense(LATENT)(x), layers.Dense(LATENT)(x)] for _ in range(2)]
    z = layers.Add()([Sampling()(pair) for pair in pairs])
    model = keras.Model(x, layers.Dense(DIM)(z))
    with pytest.raises(RoleError, match=r"one encoder, .*none was found.*dense\w* \(None, 3\)"):
        encoder_of(model)
    names = dict(
        zip(("mu", "log_var"), (one._keras_history[0].name for one in pairs[1]), strict=True)
    )
    place = encoder_of(model, **names)
    assert (place.mu.layer, place.second.layer) == tuple(names.values())


@pytest.mark.parametrize("name", ["tanh", "softplus", "relu"])
def test_what_is_made_of_a_named_tensor_is_not_taken_for_it(name):
    model, _, _ = models.inline(bound=layers.Activation(name))
    with pytest.raises(RoleError, match="none was found"):
        encoder_of(model)


def test_a_sum_of_mu_and_log_var_draws_nothing():
    x = keras.Input((DIM,))
    q = [layers.Dense(LATENT, name=name)(x) for name in ("z_mean", "z_log_var")]
    model = keras.Model(x, layers.Dense(DIM)(ops.square(q[0]) + ops.exp(q[1]) - q[1]))
    with pytest.raises(RoleError, match="none was found"):
        encoder_of(model)


def test_a_layer_may_get_sigma_that_is_made_of_log_var():
    x = keras.Input((DIM,))
    mu, log_var = (layers.Dense(LATENT, name=name)(x) for name in ("z_mean", "z_log_var"))
    model = keras.Model(x, layers.Dense(DIM)(Sampling()([mu, ops.exp(log_var / 2)])))
    place = encoder_of(model)
    assert (place.mu.layer, place.second.layer) == ("z_mean", "z_log_var")


def test_data_and_their_reconstruction_are_no_pair():
    class Compare(layers.Layer):
        def call(self, inputs):
            return inputs[1]

    x = keras.Input((DIM,))
    h = layers.Rescaling(2.0)(x)
    decoded = layers.Dense(DIM)(layers.Dense(LATENT)(h))
    with pytest.raises(RoleError, match="none was found"):
        encoder_of(keras.Model(x, Compare()([h, decoded])))


def test_a_decoder_that_gets_x_past_z_is_none():
    x = keras.Input((DIM,))
    q = [layers.Dense(LATENT)(x), layers.Dense(LATENT)(x)]
    decoded = layers.Dense(DIM)(layers.Concatenate()([Sampling()(q), x]))
    networks = list(networks_in(keras.Model(x, decoded)))
    with pytest.raises(RoleError, match="one decoder, .*nothing else of x, but none"):
        find_decoder(networks, next(find_encoder(networks, Roles())), (LATENT,), Roles())


def test_names_that_are_told_come_first():
    model, _, _ = models.flat()
    told = Roles(z="z")
    networks = list(networks_in(model))
    decoder = find_decoder(networks, next(find_encoder(networks, told)), (LATENT,), told)
    assert (decoder.z.layer, decoder.conditions) == ("z", ())
    place = encoder_of(model, mu="z_mean", log_sigma="z_log_var")
    assert place.kind == "log_sigma" and "said to be log_sigma" in str(place)
    with pytest.raises(RoleError, match="No network has both 'none' and 'z_log_var'"):
        encoder_of(model, mu="none", log_var="z_log_var")
    with pytest.raises(RoleError, match="There is no network 'none'"):
        encoder_of(model, encoder="none")
    with pytest.raises(RoleError, match="no network 'none'"):
        find_decoder(networks, place, (LATENT,), Roles(decoder="none"))
    with pytest.raises(RoleError, match="No network leads from a layer 'none'"):
        find_decoder(networks, place, (LATENT,), Roles(z="none"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"beta": "a"}, "no role 'beta'; there are encoder, mu, log_var"),
        ({"mu": "a"}, "mu and one of log_var, log_sigma, sigma, var, received mu"),
        ({"sigma": "a"}, "received sigma"),
        ({"mu": "a", "var": "b", "sigma": "c"}, "received mu and sigma and var"),
    ],
)
def test_roles_that_contradict_each_other_are_refused(said, message):
    with pytest.raises(UsageError, match=message):
        Roles.of(said)


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["label", "z_in"], 1),
        (["latent_code", "class_code"], 0),
        (["c", "input_3"], 1),
        (["one", "two"], None),
        (["z", "code"], None),
        (["label", "y"], None),
    ],
)
def test_an_input_is_told_by_its_name_or_not_at_all(names, place):
    assert named_input("z", names) == place


def test_what_there_is_is_listed():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = make_decoder(), make_encoder()
            self.three = models.renamed(make_encoder(), "other")

    with pytest.raises(
        RoleError, match=r"but 2 were found\. There are: 'decoder' from \(None, 3\)"
    ):
        model = Pair()
        model.two = models.renamed(make_encoder(), "another")
        encoder_of(model)
