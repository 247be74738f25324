"""What holds for every pair of networks, and the options that all have."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import NETWORKS
from tests.support import to_numpy

# For each: options that make it tiny.
TINY = {
    "conv": {"width": 2, "depth": 2},
    "mlp": {"width": 5, "depth": 2},
    "residual": {"width": 4, "depth": 2},
}
IMAGE = (5, 3, 2)


def pair(name, shape=IMAGE, outputs=None, **options):
    encoder, decoder = NETWORKS[name]
    options = TINY[name] | options
    return encoder(shape, **options), decoder(shape, 2, outputs, **options)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_pair_has_tiny_options_here(name):
    assert name in TINY


@pytest.mark.parametrize("shape", [(5, 3, 2), (1, 1, 1), (8, 8, 3), (2, 7, 1)], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_images_of_any_size_come_back_in_their_shape(name, shape):
    encoder, decoder = pair(name, shape, depth=3)
    features = encoder(np.ones((2, *shape), "float32"))
    assert features.shape[0] == 2 and len(features.shape) == 2
    assert tuple(decoder(np.ones((2, 2), "float32")).shape) == (2, *shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_output_has_its_shape_and_a_last_layer_of_its_own(name):
    outputs = [IMAGE, (*IMAGE, 4), IMAGE]
    _, decoder = pair(name, outputs=outputs)
    values = [to_numpy(value) for value in decoder(np.ones((1, 2), "float32"))]
    assert [value.shape[1:] for value in values] == outputs
    assert not np.array_equal(values[0], values[2])


@pytest.mark.parametrize("name", NETWORKS)
def test_no_datum_depends_on_the_others_of_its_batch(name):
    x = np.random.default_rng(0).random((3, *IMAGE), "float32")
    encoder, _ = pair(name)
    together = to_numpy(encoder(x, training=True))
    np.testing.assert_allclose(together[1:2], to_numpy(encoder(x[1:2])), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pair_trains_and_its_file_loads(name, tmp_path):
    x = (np.random.default_rng(0).random((8, *IMAGE)) > 0.5).astype("float32")
    encoder, decoder = pair(name, activation="gelu")
    vae = kelbo.VAE(kelbo.GaussianPosterior(encoder, 2), kelbo.BernoulliLikelihood(decoder))
    vae.compile("adam")
    before = [to_numpy(weight).copy() for weight in vae.trainable_weights]
    assert np.isfinite(vae.train_on_batch(x)).all()
    moved = [(to_numpy(w) != b).any() for w, b in zip(vae.trainable_weights, before, strict=True)]
    # A bias before the normalisation of its own channels alone would not move.
    assert all(moved)
    vae.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(vae.reconstruct(x), again.reconstruct(x))


@pytest.mark.once
@pytest.mark.parametrize("name", NETWORKS)
def test_the_layers_have_the_policy_that_is_asked_for(name):
    for network in pair(name, dtype="mixed_bfloat16"):
        policies = {layer.dtype_policy.name for layer in network.layers[1:]}
        assert policies == {"mixed_bfloat16"}
        assert {weight.dtype for weight in network.weights} == {"float32"}


def kernels(network):
    return [tuple(w.shape) for w in network.weights if w.path.endswith("kernel")]


# For each: the kernels of the encoder with these options.
SHAPES = {
    "conv": ({"width": 3, "depth": 3}, [(3, 3, 2, 3), (3, 3, 3, 6), (3, 3, 6, 12)]),
    "mlp": ({"width": 7, "depth": 3}, [(30, 7), (7, 7), (7, 7)]),
    "residual": (
        {"width": 4, "depth": 2},
        [(3, 3, 2, 4), *[(3, 3, 4, 4)] * 2, (3, 3, 4, 8), *[(3, 3, 8, 8)] * 2],
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("name", NETWORKS)
def test_width_and_depth_decide_the_kernels(name):
    options, expected = SHAPES[name]
    assert kernels(pair(name, **options)[0]) == expected


@pytest.mark.once
@pytest.mark.parametrize("name", NETWORKS)
def test_the_activation_stands_in_every_layer_but_the_last(name):
    for network, outputs in zip(pair(name, activation="relu"), (False, True), strict=True):
        found = [getattr(layer, "activation", None) for layer in network.layers]
        names = [one.__name__ for one in found if one is not None]
        assert "relu" in names and set(names) <= {"relu", "linear"}
        if outputs:
            values = to_numpy(network(np.random.default_rng(0).normal(size=(50, 2)) * 9.0))
            assert values.min() < 0.0 < values.max()


@pytest.mark.once
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, r"width >= \d, received 0"),
        ({"depth": 0}, "depth >= 1, received 0"),
        ({"depth": 2.5}, "depth to be a whole number, received 2.5"),
    ],
    ids=str,
)
def test_an_impossible_option_is_refused(name, options, message):
    encoder, decoder = NETWORKS[name]
    for make in (lambda: encoder(IMAGE, **options), lambda: decoder(IMAGE, 2, **options)):
        with pytest.raises(UsageError, match=message):
            make()


@pytest.mark.once
@pytest.mark.parametrize(("name", "layers"), [("mlp", "hidden_units"), ("conv", "filters")])
def test_layers_one_by_one_and_a_width_are_not_both_taken(name, layers):
    encoder, _ = NETWORKS[name]
    with pytest.raises(UsageError, match=f"Expected {layers}, or width and depth"):
        encoder(IMAGE, (4, 4), width=4)


@pytest.mark.once
def test_a_residual_network_takes_images_alone():
    encoder, decoder = NETWORKS["residual"]
    with pytest.raises(UsageError, match=r"received \(28, 28\).*'mlp'"):
        encoder((28, 28))
    with pytest.raises(UsageError, match="outputs of the image's height and width"):
        decoder(IMAGE, 2, [(4, 3, 2)])


@pytest.mark.once
@pytest.mark.parametrize("channels", [4, 5, 6, 8, 12, 20, 32, 64, 96])
def test_groups_share_out_the_channels_and_have_four_at_least(channels):
    encoder, _ = NETWORKS["residual"]
    network = encoder(IMAGE, width=channels, depth=1)
    norms = [one for one in network.layers if isinstance(one, keras.layers.GroupNormalization)]
    assert len(norms) == 3
    for norm in norms:
        assert channels % norm.groups == 0 and channels // norm.groups >= 4
