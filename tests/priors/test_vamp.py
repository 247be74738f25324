import keras
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import kelbo
from kelbo.errors import UsageError
from kelbo.networks import mlp_decoder, mlp_encoder
from tests.latents import D, encoder, model
from tests.support import SHAPE, data, to_numpy

X = data(8)


def vae(prior, likelihood=kelbo.BernoulliLikelihood, **kwargs):
    q = kelbo.GaussianPosterior(encoder(), D)
    return kelbo.VAE(q, likelihood(mlp_decoder(SHAPE, D, None, (5,))), prior=prior, **kwargs)


def test_is_the_mean_of_the_posteriors_of_its_pseudo_inputs():
    m = model("gaussian", "vamp")
    q = m.posterior.distribution(m.posterior(m.prior.u))
    mu, sigma = to_numpy(q.mu), np.exp(0.5 * to_numpy(q.log_var))
    z = np.random.default_rng(0).standard_normal((4, 6, D))
    each = stats.norm(mu, sigma).logpdf(z[..., None, :]).sum(axis=-1)
    p = m.prior.distribution(m.encode_once(X)["prior"])
    expected = logsumexp(each, axis=-1) - np.log(5)
    np.testing.assert_allclose(to_numpy(p.log_prob(z)), expected, rtol=1e-5)


def test_its_gradient_reaches_the_pseudo_inputs_and_they_stay_within_the_data_s_support():
    ones = np.ones((5, *SHAPE), "float32")
    m = vae(kelbo.VampPrior(initial=ones))
    np.testing.assert_array_equal(to_numpy(m.prior.u), ones)
    m.compile(keras.optimizers.Adam(0.05))
    m.fit(X, epochs=5, verbose=0)
    u = to_numpy(m.prior.u)
    # Those that want to leave stay at the end, and the others can come back from it.
    assert u.max() == 1.0 and u.min() > 0.0 and np.mean(u < 1.0) > 0.1


@pytest.mark.parametrize(
    ("likelihood", "support"),
    [(kelbo.BernoulliLikelihood, (0.0, 1.0)), (kelbo.GaussianLikelihood, (None, None))],
)
def test_begins_in_the_support_of_the_data_with_no_two_alike(likelihood, support):
    prior = vae(kelbo.VampPrior(200), likelihood).prior
    u = to_numpy(prior.u)
    assert prior.support == support
    assert u.shape == (200, *SHAPE)
    assert len(np.unique(u)) == u.size
    low, high = (0.0, 1.0) if support[0] is not None else (-6.0, 6.0)
    assert low <= u.min() < 0.1 and 0.9 < u.max() <= high


def test_the_number_of_components_is_that_of_the_initial_data():
    prior = vae(kelbo.VampPrior(initial=X)).prior
    assert prior.num_components == 8
    again = kelbo.VampPrior.from_config(prior.get_config())
    assert (again.num_components, again.data_shape, again.support) == (8, SHAPE, (0.0, 1.0))


def embedding():
    x = keras.Input(SHAPE, dtype="int32")
    h = keras.layers.Flatten()(keras.layers.Embedding(4, 2)(x))
    return keras.Model(x, h)


def conditional():
    x, c = keras.Input(SHAPE, name="x"), keras.Input((3,), name="c")
    h = keras.layers.Concatenate()([keras.layers.Flatten()(x), c])
    return keras.Model([x, c], h)


@pytest.mark.parametrize(
    ("network", "message"),
    [(embedding, "takes whole numbers"), (conditional, "has conditions")],
)
def test_an_encoder_without_pseudo_inputs_is_refused(network, message):
    prior = kelbo.VampPrior(3)
    with pytest.raises(UsageError, match=message):
        prior.check_posterior(kelbo.GaussianPosterior(network(), D))


def test_what_it_cannot_be_is_refused():
    with pytest.raises(UsageError, match="num_components >= 1"):
        kelbo.VampPrior(0)
    with pytest.raises(UsageError, match="is part of a model"):
        kelbo.VampPrior(3).build((D,))
    with pytest.raises(UsageError, match="hand it to"):
        kelbo.VampPrior(3, data_shape=SHAPE).distribution({})
    with pytest.raises(UsageError, match=r"initial pseudo-inputs of shape \(4, 3, 2, 1\)"):
        vae(kelbo.VampPrior(initial=np.zeros((4, 6))))
    with pytest.raises(UsageError, match=r"have the shape \(6,\)"):
        vae(kelbo.VampPrior(3, data_shape=(6,)))
    prior = kelbo.VampPrior(3)
    vae(prior)
    with pytest.raises(UsageError, match="that of another model"):
        vae(prior)


def test_two_models_of_one_posterior_share_it():
    q, prior = kelbo.GaussianPosterior(mlp_encoder(SHAPE, (5,)), D), kelbo.VampPrior(3)
    p = kelbo.BernoulliLikelihood(mlp_decoder(SHAPE, D, None, (5,)))
    first = kelbo.VAE(q, p, prior=prior, seed=0)
    second = kelbo.VAE(q, p, prior=prior, objective=kelbo.IWAE(2), seed=0)
    assert first.prior is second.prior


def test_samples_come_from_the_components():
    m = model("gaussian", "vamp")
    p = m.prior.distribution(m.encode_once(X)["prior"])
    z = to_numpy(p.sample(0, (20_000,)))
    np.testing.assert_allclose(z.mean(axis=0), to_numpy(p.mean()), atol=0.05)
