"""Every objective trains in compiled steps, logs what it says, and comes back from a file."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import kelbo
from tests.support import to_numpy, weights

SHAPE = (12, 12, 1)
X = np.random.default_rng(0).random((10, *SHAPE), "float32")
RISE = kelbo.CyclicalWarmup(8, 2.0, cycles=2)

# With Dropout in both networks, whose masks change with every pass.
OF_VAE = {
    "elbo, stl": lambda: kelbo.ELBO(RISE, "stl"),
    "free bits": lambda: kelbo.FreeBits(kelbo.LinearWarmup(3, 0.1)),
    "capacity": lambda: kelbo.Capacity(kelbo.CosineWarmup(3, 5.0), kelbo.SigmoidWarmup(3)),
    "iwae, dreg": lambda: kelbo.IWAE(3, "dreg"),
    "miwae": lambda: kelbo.MIWAE(2, 3),
    "piwae, dreg": lambda: kelbo.PIWAE(2, 3, "dreg"),
    "ciwae": lambda: kelbo.CIWAE(3, 0.3),
    "renyi": lambda: kelbo.Renyi(3, 0.3, "stl"),
    "beta-tc": lambda: kelbo.BetaTC(RISE, sampling="weighted"),
    "dip-vae": lambda: kelbo.DIPVAE("i", 2.0, RISE),
    "info-vae": lambda: kelbo.InfoVAE(0.5, 20.0),
    "wae": lambda: kelbo.WAE(RISE),
    "ssim": lambda: kelbo.StructuralSimilarity(10.0, beta=RISE),
    "denoising beta-tc": lambda: kelbo.Denoising(kelbo.BetaTC(), "gaussian", 0.1),
    "denoising contractive elbo": lambda: kelbo.Denoising(
        kelbo.Contractive(RISE, kelbo.ELBO(2.0)), "salt-and-pepper", 0.2
    ),
}
OF_AE = {
    "rae, l2": lambda: kelbo.RAE("l2", 0.1, RISE),
    "rae, gradient": lambda: kelbo.RAE("gradient-penalty", 0.1, 0.01),
    "rae, spectral": lambda: kelbo.RAE("spectral-norm", 0.1),
    "sparse": lambda: kelbo.Sparse(RISE, 0.1),
    "denoising": lambda: kelbo.Denoising(level=0.5),
}


def model_of(name):
    """A model with that objective on 12 x 12 images."""
    x, z = keras.Input(SHAPE), keras.Input((2,))
    h = layers.Dropout(0.2, seed=1)(layers.Dense(5, "tanh")(layers.Flatten()(x)))
    encoder = keras.Model(x, h)
    y = layers.Dropout(0.2, seed=2)(z)
    for layer in (layers.Dense(5, "tanh"), layers.Dense(144)):
        y = layers.SpectralNormalization(layer)(y) if name == "rae, spectral" else layer(y)
    likelihood = kelbo.BernoulliLikelihood(keras.Model(z, layers.Reshape(SHAPE)(y)))
    if name in OF_VAE:
        posterior = kelbo.GaussianPosterior(encoder, 2)
        return kelbo.VAE(posterior, likelihood, objective=OF_VAE[name](), seed=0)
    activation = "sigmoid" if name == "sparse" else "linear"
    posterior = kelbo.DeterministicPosterior(encoder, 2, activation)
    return kelbo.AE(posterior, likelihood, objective=OF_AE[name](), seed=0)


@pytest.mark.parametrize("name", [*OF_VAE, *OF_AE])
def test_it_trains_and_goes_on_from_its_file(name, tmp_path):
    model = model_of(name)
    model.compile(keras.optimizers.SGD(0.01))
    before = weights(model)
    history = model.fit(X, batch_size=4, shuffle=False, verbose=0).history
    assert set(history) == {"loss", *model.objective.logged}
    assert np.isfinite([*history.values()]).all()
    moved = [np.any(a != b) for a, b in zip(before, weights(model), strict=True)]
    assert sum(moved) >= len(model.trainable_weights) - 1  # a bias that nothing depends on
    model.save(tmp_path / "model.keras")
    again = kelbo.load_model(tmp_path / "model.keras")
    configs = [json.dumps(each.objective.get_config()) for each in (model, again)]
    assert configs[0] == configs[1]  # with tuples as lists
    assert again.objective.logged == model.objective.logged
    assert again.effective_beta == model.effective_beta
    assert again.describe_training() == model.describe_training()
    for one, other in zip(weights(model), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    # The same noise, no Dropout: the same terms.
    terms = [
        {key: to_numpy(value) for key, value in each.objective.terms(trace).items()}
        for each in (model, again)
        for trace in [each.trace(X[:4], _passed(each))]
    ]
    for key, value in terms[0].items():
        np.testing.assert_allclose(terms[1][key], value, rtol=1e-4, atol=1e-5)


def _passed(model):
    model.seed_generator.state.assign(0 * model.seed_generator.state)
    return model(X[:4], training=False)
