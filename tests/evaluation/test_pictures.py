import keras
import numpy as np
import pytest

import kelbo
from kelbo.data import from_arrays
from kelbo.evaluation.evaluate import evaluate
from kelbo.evaluation.pictures import ORIGINALS, SAMPLES, TRAVERSAL, picture_arrays
from tests.support import LATENT, SHAPE, randomise, tiny_ae, tiny_vae


@pytest.fixture
def data():
    x = np.random.default_rng(0).random((40, *SHAPE), "float32")
    return from_arrays(x, x[:30], np.arange(40) % 3, np.arange(30) % 3, label_names=("a", "b", "c"))


@pytest.fixture
def model():
    model = tiny_vae()
    randomise(model, scale=1.0)
    return model


def test_a_vae_has_every_array(model, data):
    arrays = picture_arrays(model, data, active_dimensions=[1, 0])
    steps = len(TRAVERSAL)
    assert {name: array.shape for name, array in arrays.items()} == {
        "originals": (ORIGINALS, *SHAPE),
        "reconstructions": (ORIGINALS, *SHAPE),
        "samples": (SAMPLES, *SHAPE),
        "traversals": (2, steps, *SHAPE),
        "traversal_dimensions": (2,),
        "traversal_values": (steps,),
        "latent_means": (30, LATENT),
        "latent_labels": (30,),
        "label_names": (3,),
    }
    np.testing.assert_array_equal(arrays["originals"], data.test[:ORIGINALS])
    np.testing.assert_array_equal(arrays["latent_labels"], data.test_labels)


def test_a_traversal_moves_one_dimension_from_the_first_code(model, data):
    arrays = picture_arrays(model, data, active_dimensions=[1])
    z = np.tile(arrays["latent_means"][0], (len(TRAVERSAL), 1))
    z[:, 1] = TRAVERSAL
    np.testing.assert_allclose(arrays["traversals"][0], model.decode(z), rtol=1e-5)


def test_the_axes_of_z_are_flattened_row_by_row(data):
    """Of a model whose z has the shape (2, 1, 1), evaluated and walked along."""
    x, z = keras.Input(SHAPE), keras.Input((2, 1, 1))
    hidden = keras.layers.Flatten()(x)
    reshape = keras.layers.Reshape((2, 1, 1))
    q = [reshape(keras.layers.Dense(2)(hidden)) for _ in range(2)]
    logits = keras.layers.Reshape(SHAPE)(keras.layers.Dense(6)(keras.layers.Flatten()(z)))
    model = kelbo.VAE(
        kelbo.GaussianPosterior(keras.Model(x, q)),
        kelbo.BernoulliLikelihood(keras.Model(z, logits)),
    )
    randomise(model, scale=1.0)
    figures = evaluate(model, data, num_samples=2)
    assert len(figures["activity"]) == len(figures["kl_per_dimension"]) == 2
    arrays = picture_arrays(model, data, figures["active_dimensions"])
    assert arrays["latent_means"].shape == (30, 2)
    np.testing.assert_allclose(figures["activity"], arrays["latent_means"].var(axis=0), rtol=1e-4)
    walked = np.tile(arrays["latent_means"][0], (len(TRAVERSAL), 1))
    walked[:, arrays["traversal_dimensions"][0]] = TRAVERSAL
    np.testing.assert_allclose(
        arrays["traversals"][0], model.decode(walked.reshape(-1, 2, 1, 1)), rtol=1e-5
    )


def test_where_nothing_is_active_there_is_no_traversal(model, data):
    assert "traversals" not in picture_arrays(model, data)


def test_an_autoencoder_has_neither_samples_nor_traversals(data):
    arrays = picture_arrays(tiny_ae(), data, active_dimensions=[0])
    assert set(arrays) == {
        "originals",
        "reconstructions",
        "latent_means",
        "latent_labels",
        "label_names",
    }


def test_the_same_seed_gives_the_same_samples(model, data):
    one, same, other = (picture_arrays(model, data, seed=seed)["samples"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
