"""What plain autoencoders are regularised by, on networks whose Jacobian is known."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kelbo
from kelbo.errors import UsageError
from kelbo.objectives.jacobian import squared_jacobian_norm
from tests import kinds
from tests.support import data, randomise, tiny_ae, tiny_vae, to_numpy


def linear_ae(objective=None, normalisation=None, latent_dim=3, **options):
    """z = A x, and mean(x|z) = B z of variance 1, six values a datum."""
    x, z = keras.Input((6,)), keras.Input((latent_dim,))
    encoder = [layers.Identity(), *([normalisation()] if normalisation else [])]
    h, y = x, z
    for layer in encoder:
        h = layer(h)
    if normalisation:
        y = normalisation()(y)
    return kelbo.AE(
        kelbo.DeterministicPosterior(keras.Model(x, h), latent_dim, **options),
        kelbo.GaussianLikelihood(keras.Model(z, layers.Dense(6)(y))),
        objective=objective,
        seed=0,
    )


X = np.random.default_rng(2).normal(size=(8, 6)).astype("float32")


def terms(model, x=X):
    return {k: to_numpy(v) for k, v in model.objective.terms(model.trace(x)).items()}


def test_the_norm_of_a_jacobian_is_estimated_without_bias():
    matrix = np.random.default_rng(3).normal(size=(4, 3)).astype("float32")
    slope = 1.0 - np.tanh(np.float32([[0.3, -1.0, 0.5, 2.0]]) @ matrix) ** 2
    exact = np.sum((matrix * slope) ** 2)
    at = np.repeat(np.float32([[0.3, -1.0, 0.5, 2.0]]), 4000, axis=0)
    norms = to_numpy(squared_jacobian_norm(lambda x: ops.tanh(ops.matmul(x, matrix)), at, seed=4))
    error = norms.std() / np.sqrt(4000)
    assert error < 0.02 * exact
    assert norms.mean() == pytest.approx(exact, abs=4 * error)
    # Where the rows of the Jacobian are orthogonal, the estimate has no error.
    np.testing.assert_allclose(
        to_numpy(squared_jacobian_norm(lambda x: 3.0 * x, at[:5], seed=4)), 36.0, rtol=1e-5
    )


def test_contraction_is_the_encoder_s_jacobian_and_a_vae_s_mean_s():
    model = linear_ae(kelbo.Contractive(2.0))
    a = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 3)))[0].astype("float32")
    model.posterior.z.kernel.assign(2.0 * a)  # orthogonal: |J|^2 = 3 * 4 exactly
    found = terms(model)
    np.testing.assert_allclose(found["contraction"], 12.0, rtol=1e-5)
    np.testing.assert_allclose(found["loss"], 24.0 - found["reconstruction"], rtol=1e-5)
    vae = tiny_vae(objective=kelbo.Contractive(0.5, kelbo.ELBO(2.0)))
    found = terms(vae, data(4))
    elbo = 2.0 * found["kl"] - found["reconstruction"]
    np.testing.assert_allclose(found["loss"], elbo + 0.5 * found["contraction"], rtol=1e-5)
    assert vae.effective_beta == 2.0


@pytest.mark.parametrize("regularisation", ["l2", "gradient-penalty"])
def test_rae_weighs_the_code_and_the_decoder(regularisation):
    model = linear_ae(kelbo.RAE(regularisation, code_weight=3.0, weight=0.5), latent_dim=2)
    b = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 2)))[0].T.astype("float32")
    dense = model.likelihood.network.layers[-1]
    dense.set_weights([2.0 * b, np.full(6, 0.5, "float32")])
    found = terms(model)
    code = model.posterior_mean(X)
    np.testing.assert_allclose(found["code_norm"], 0.5 * (code**2).sum(-1), rtol=1e-5)
    smooth = found["smoothness"]
    if regularisation == "l2":
        assert smooth == pytest.approx(2 * 4.0 + 6 * 0.25, rel=1e-5)
        assert found["batch_loss"] == pytest.approx(0.5 * smooth)
        smooth = 0.0
    else:
        # |B' v|^2 of signs v: 2 * 4 in expectation, and no two rows of B are orthogonal.
        many = np.repeat(X[:1], 3000, axis=0)
        norms = terms(model, many)["smoothness"]
        error = norms.std() / np.sqrt(3000)
        assert norms.mean() == pytest.approx(8.0, abs=4 * error)
    np.testing.assert_allclose(
        found["loss"], 3.0 * found["code_norm"] + 0.5 * smooth - found["reconstruction"], rtol=1e-5
    )


def test_rae_by_spectral_norm_wants_every_layer_wrapped():
    with pytest.raises(UsageError, match="has no spectral normalisation. Wrap it"):
        linear_ae(kelbo.RAE("spectral-norm"))
    x, z = keras.Input((6,)), keras.Input((3,))
    decoder = keras.Model(z, layers.SpectralNormalization(layers.Dense(6))(z))
    ae = kelbo.AE(
        kelbo.DeterministicPosterior(keras.Model(x, layers.Identity()(x)), 3),
        kelbo.GaussianLikelihood(decoder),
        objective=kelbo.RAE("spectral-norm", code_weight=1.0),
    )
    found = terms(ae)
    np.testing.assert_allclose(found["loss"], found["code_norm"] - found["reconstruction"])
    assert "smoothness" not in ae.objective.logged


def test_the_activity_of_the_code_is_held_at_its_target():
    model = linear_ae(kelbo.Sparse(3.0, target=0.2), activation="sigmoid")
    code = model.posterior_mean(X)
    assert np.all((code > 0.0) & (code < 1.0))
    rate = code.mean(axis=0).astype("float64")
    kl = np.sum(0.2 * np.log(0.2 / rate) + 0.8 * np.log(0.8 / (1.0 - rate)))
    found = terms(model)
    assert found["sparsity"] == pytest.approx(kl, rel=1e-4)
    assert found["batch_loss"] == pytest.approx(3.0 * kl, rel=1e-4)
    assert found["activity"] == pytest.approx(rate.mean(), rel=1e-5)
    with pytest.raises(UsageError, match="a code in .0, 1.. Use kelbo.AE.*activation='sigmoid'"):
        tiny_ae().objective = kelbo.Sparse()


def test_the_largest_of_a_code_are_kept_wherever_it_is_shown(tmp_path):
    model, free = linear_ae(keep=2), linear_ae()
    free.set_weights(model.get_weights())
    code = model.posterior_mean(X)
    whole = free.posterior_mean(X)
    order = np.argsort(whole, axis=1)
    np.put_along_axis(whole, order[:, :1], 0.0, axis=1)
    np.testing.assert_allclose(code, whole, rtol=1e-6)
    np.testing.assert_allclose(model.encode(X)["z"], code)
    np.testing.assert_allclose(to_numpy(model.encoder(X)), code, rtol=1e-6)
    np.testing.assert_allclose(model.reconstruct(X), model.decode(code), rtol=1e-5, atol=1e-6)
    model.compile("adam")
    model.fit(X, batch_size=4, verbose=0)
    model.save(tmp_path / "ae.keras")
    again = kelbo.load_model(tmp_path / "ae.keras")
    np.testing.assert_allclose(again.posterior_mean(X), model.posterior_mean(X), rtol=1e-5)
    assert np.all((again.posterior_mean(X) == 0.0).sum(axis=1) == 1)


@pytest.mark.parametrize("corruption", ["masking", "gaussian", "salt-and-pepper"])
def test_the_encoder_sees_noise_of_the_level_and_the_loss_clean_data(corruption):
    objective = kelbo.Denoising(corruption=corruption, level=0.3)
    x = np.full((400, 50), 0.4, "float32")
    first, other = (to_numpy(objective.corrupted(ops.convert_to_tensor(x), s)) for s in (1, 2))
    assert np.any(first != other)
    if corruption == "gaussian":
        assert (first - x).mean() == pytest.approx(0.0, abs=0.01)
        assert (first - x).std() == pytest.approx(0.3, abs=0.01)
        return
    changed = first != x
    assert changed.mean() == pytest.approx(0.3, abs=0.015)
    values = first[changed]
    assert set(values) == ({0.0} if corruption == "masking" else {0.0, 1.0})
    if corruption == "salt-and-pepper":
        assert values.mean() == pytest.approx(0.5, abs=0.03)


def test_noise_is_for_the_encoder_in_training_alone():
    model = tiny_ae()
    randomise(model)
    model.objective = kelbo.Denoising(level=1.0)  # the encoder sees zeros
    model.compile(keras.optimizers.SGD(0.0))
    x = data(4)
    zeros = model.likelihood.distribution(
        model.likelihood(ops.convert_to_tensor(model.posterior_mean(0.0 * x)))
    )
    blind = -to_numpy(zeros.log_prob(x)).mean()
    noisy = model.train_on_batch(x, return_dict=True)["loss"]
    assert float(noisy) == pytest.approx(blind, rel=1e-5)
    model.reset_metrics()
    clean = -to_numpy(model.trace(x).log_px_z).mean()
    evaluated = model.test_on_batch(x, return_dict=True)["loss"]
    assert float(evaluated) == pytest.approx(clean, rel=1e-5)
    assert abs(clean - blind) > 1e-3


def test_of_a_vae_the_criterion_is_the_elbo_of_clean_data():
    vae = tiny_vae(objective=kelbo.Denoising(kelbo.ELBO(3.0), "gaussian", 0.1))
    assert vae.effective_beta == 3.0
    assert vae.objective.logged == ("elbo", "reconstruction", "kl")
    assert "the encoder sees x with gaussian noise of level 0.1" in vae.describe_training()


REFUSED = {
    "batch normalisation, contractive": (
        lambda: linear_ae(kelbo.Contractive(), layers.BatchNormalization),
        "mixes the data of a batch. Use keras.layers.LayerNormalization",
    ),
    "batch normalisation, rae": (
        lambda: linear_ae(kelbo.RAE("gradient-penalty"), layers.BatchNormalization),
        "mixes the data of a batch",
    ),
    "rae of a vae": (lambda: tiny_vae(objective=kelbo.RAE()), "draws z at random. Use.*kelbo.AE"),
    "contractive flow": (
        lambda: setattr(
            kinds.MODELS["flow"](), "objective", kelbo.Contractive(objective=kelbo.ELBO())
        ),
        "that of a Cubic has no closed form",
    ),
    "pepper on all reals": (
        lambda: linear_ae(kelbo.Denoising(corruption="salt-and-pepper")),
        r"ends of \[0, 1\].*Use corruption='gaussian'",
    ),
    "no corruption": (lambda: kelbo.Denoising(corruption="blur"), "received 'blur'"),
    "no level": (lambda: kelbo.Denoising(level=1.5), "from 0 to 1, received 1.5"),
    "no target": (lambda: kelbo.Sparse(target=1.0), "between 0 and 1, received 1.0"),
    "no regularisation": (lambda: kelbo.RAE("l1"), "received 'l1'"),
    "no inner objective": (lambda: kelbo.Contractive(1.0, "elbo"), "instance of Objective"),
    "an inner objective that is refused": (
        lambda: setattr(tiny_ae(), "objective", kelbo.Denoising(kelbo.ELBO())),
        "an autoencoder has none",
    ),
    "kept": (lambda: linear_ae(keep=4), "keep from 1 to all 3 values"),
    "activation": (lambda: linear_ae(activation="relu"), "'linear' or 'sigmoid', received 'relu'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(name):
    make, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        make()


def test_masked_padding_is_not_corrupted():
    x = keras.Input((4, 2))
    encoder = keras.Model(x, layers.GlobalAveragePooling1D()(layers.Masking(0.0)(x)))
    z = keras.Input((3,))
    decoder = keras.Model(z, layers.Reshape((4, 2))(layers.Dense(8)(z)))
    with pytest.raises(UsageError, match="The encoder masks part of x"):
        kelbo.AE(
            kelbo.DeterministicPosterior(encoder, 3),
            kelbo.GaussianLikelihood(decoder),
            objective=kelbo.Denoising(),
        )
