"""Models whose evidence is known exactly: what the whole of kelbo must come to on them."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats
from scipy.special import logsumexp

import kelbo
from kelbo.objectives.objective import elbo_terms
from tests.support import to_numpy


def linear_vae(data_dim, latent_dim, variance, objective=None):
    """q(z|x) = N(Ax + a, diag(exp b)) with constant b, p(x|z) = N(Wz + m, variance)."""
    x, z = keras.Input((data_dim,)), keras.Input((latent_dim,))
    log_var = layers.Dense(latent_dim, name="log_var", kernel_initializer="zeros")
    log_var.build((None, data_dim))
    log_var.kernel.trainable = False
    encoder = keras.Model(x, [layers.Dense(latent_dim, name="mu")(x), log_var(x)])
    decoder = keras.Model(z, layers.Dense(data_dim, name="x")(z))
    return kelbo.VAE(
        kelbo.GaussianPosterior(encoder),
        kelbo.GaussianLikelihood(decoder, variance),
        objective=objective,
        seed=0,
    )


def set_linear(vae, a, a_bias, b, w, w_bias):
    encoder, decoder = vae.posterior.network, vae.likelihood.network
    encoder.get_layer("mu").set_weights([a.T, a_bias])
    encoder.get_layer("log_var").set_weights([np.zeros_like(a.T), b])
    decoder.get_layer("x").set_weights([w.T, w_bias])


class PPCA:
    """Probabilistic PCA's maximum-likelihood solution (Tipping and Bishop 1999)."""

    def __init__(self, x, latent_dim):
        n, data_dim = x.shape
        self.mean = x.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = values[:latent_dim]
        self.variance = values[latent_dim:].mean()
        self.w = vectors[:, :latent_dim] * np.sqrt(kept - self.variance)
        # M = W'W + variance I is diagonal, so the exact posterior has independent dimensions.
        self.a = self.w.T / kept[:, None]
        self.log_var = np.log(self.variance / kept)
        self.log_likelihood = -0.5 * (
            data_dim * np.log(2.0 * np.pi)
            + np.log(kept).sum()
            + (data_dim - latent_dim) * np.log(self.variance)
            + data_dim
        )

    def log_prob(self, x):
        covariance = self.w @ self.w.T + self.variance * np.eye(len(self.mean))
        return stats.multivariate_normal(self.mean, covariance).logpdf(x)


def correlated(n, data_dim, rank):
    generator = np.random.default_rng(2)
    signal = generator.standard_normal((n, rank)) @ generator.standard_normal((rank, data_dim))
    return (signal + 0.5 * generator.standard_normal((n, data_dim)) + 1.0).astype("float32")


@pytest.fixture(scope="module")
def exact():
    """A linear VAE set to pPCA's solution, its data, and the solution."""
    x = correlated(200, 8, 3)
    ppca = PPCA(x.astype("float64"), 3)
    vae = linear_vae(8, 3, float(ppca.variance))
    set_linear(vae, ppca.a, -ppca.a @ ppca.mean, ppca.log_var, ppca.w, ppca.mean)
    return vae, x, ppca


def test_the_ppca_formula_is_the_mean_log_density_of_its_own_data(exact):
    _, x, ppca = exact
    assert ppca.log_prob(x).mean() == pytest.approx(ppca.log_likelihood, abs=1e-6)


def test_at_ppca_s_solution_every_importance_weight_is_the_evidence(exact):
    vae, x, ppca = exact
    trace = vae.sampled_trace(x, 5, 0)
    log_weights = to_numpy(trace.log_weights)
    np.testing.assert_allclose(log_weights, np.tile(ppca.log_prob(x), (5, 1)), atol=5e-5)


def test_at_ppca_s_solution_the_bound_is_the_evidence_for_any_number_of_samples(exact):
    vae, x, ppca = exact
    bound = vae.log_likelihood(x, num_samples=11, batch_size=200)
    np.testing.assert_allclose(bound, ppca.log_prob(x), atol=5e-5)
    assert bound.mean() == pytest.approx(ppca.log_likelihood, abs=1e-5)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_at_ppca_s_solution_iwae_s_loss_is_minus_the_evidence_for_any_k(exact, k):
    vae, x, ppca = exact
    terms = kelbo.IWAE(k).terms(vae.sampled_trace(x, k, 0))
    np.testing.assert_allclose(to_numpy(terms["loss"]), -ppca.log_prob(x), atol=5e-5)
    np.testing.assert_allclose(to_numpy(terms["iwae"]), ppca.log_prob(x), atol=5e-5)


def test_at_ppca_s_solution_the_elbo_with_the_closed_form_kl_is_the_evidence(exact, monkeypatch):
    vae, x, ppca = exact
    # Noise at the cubature points integrates the quadratic log p(x|z) over q without error.
    points = np.sqrt(3.0) * np.concatenate([np.eye(3), -np.eye(3)])[:, None, :]
    cubature = np.broadcast_to(points, (6, 200, 3)).astype("float32")
    monkeypatch.setattr(
        keras.random, "normal", lambda shape, **kwargs: keras.ops.convert_to_tensor(cubature)
    )
    elbo = to_numpy(elbo_terms(vae.sampled_trace(x, 6, 0))["elbo"])
    np.testing.assert_allclose(elbo, ppca.log_prob(x), atol=5e-5)
    assert elbo.mean() == pytest.approx(ppca.log_likelihood, abs=1e-5)


def test_training_comes_to_ppca_s_log_likelihood_from_below():
    x = correlated(256, 4, 1)
    optimum = PPCA(x.astype("float64"), 1).log_likelihood
    vae = linear_vae(4, 1, "shared")
    generator = np.random.default_rng(0)
    for weight in vae.trainable_weights:
        weight.assign(0.1 * generator.standard_normal(weight.shape).astype("float32"))
    vae.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, 400)))
    elbos = []
    for step in range(1, 401):
        vae.train_on_batch(x)
        if step in (1, 50, 200, 400):
            trace = vae.sampled_trace(x, 100, 3)
            elbos.append(to_numpy(elbo_terms(trace)["elbo"]).mean())
    assert elbos == sorted(elbos)
    assert max(elbos) < optimum + 0.01
    assert elbos[0] < optimum - 1.0
    assert elbos[-1] > optimum - 0.03


# SCIENCE: z ~ N(0, I), x|z ~ N(z, I), q = N(x / 2, 2/3 I) and not the exact N(x / 2, 1/2 I).
GAPS = {1: -0.4565, 2: -0.229, 5: -0.094, 10: -0.046, 50: -0.009, 500: -0.0009}
D = 20


@pytest.fixture(scope="module")
def toy():
    """The gaps log (1/K) sum w - log p(x) of 400 data for each K, in disjoint blocks of draws."""
    vae = linear_vae(D, D, 1.0)
    half, zeros = 0.5 * np.eye(D), np.zeros(D)
    set_linear(vae, half, zeros, np.full(D, np.log(2.0 / 3.0)), 2.0 * half, zeros)
    x = np.sqrt(2.0) * np.random.default_rng(4).standard_normal((400, D)).astype("float32")
    log_evidence = stats.norm(0.0, np.sqrt(2.0)).logpdf(x).sum(axis=1)
    log_ratios = to_numpy(vae.sampled_trace(x, 500, 0).log_weights).T - log_evidence[:, None]
    blocks = {k: log_ratios.reshape(400, 500 // k, k) for k in GAPS}
    gaps = {k: (logsumexp(block, axis=-1) - np.log(k)).ravel() for k, block in blocks.items()}
    return vae, x, log_evidence, gaps


@pytest.mark.parametrize("k", GAPS)
def test_the_importance_weighted_bound_has_the_toy_s_known_gap(toy, k):
    gaps = toy[3][k]
    rounding = {1: 5e-5, 500: 5e-5}.get(k, 5e-4)
    assert abs(gaps.mean() - GAPS[k]) < 4.0 * gaps.std() / np.sqrt(len(gaps)) + rounding


def test_the_bounds_rise_with_k_towards_the_evidence(toy):
    means = [toy[3][k].mean() for k in GAPS]
    assert means == sorted(means)
    assert means[-1] < 4.0 * toy[3][500].std() / 20.0


def test_the_bound_seldom_exceeds_the_evidence_by_much(toy):
    # P(log Z^ > log Z + b) <= exp(-b), because Z^ is unbiased (Markov).
    for gaps in toy[3].values():
        for excess in (0.5, 1.0, 3.0):
            assert np.mean(gaps > excess) <= np.exp(-excess)


def test_the_elbo_has_the_toy_s_gap_per_dimension(toy):
    vae, x, log_evidence, _ = toy
    elbo = to_numpy(elbo_terms(vae.sampled_trace(x, 200, 1))["elbo"])
    gap = (log_evidence - elbo).mean() / D
    assert gap == pytest.approx(0.0228256, abs=4.0 * (log_evidence - elbo).std() / 20.0 / D)


def test_log_likelihood_is_that_bound(toy):
    vae, x, log_evidence, gaps = toy
    bound = vae.log_likelihood(x, num_samples=50, batch_size=100)
    error = 4.0 * gaps[50].std() / 20.0
    assert (bound - log_evidence).mean() == pytest.approx(GAPS[50], abs=error)


@pytest.mark.parametrize("k", [1, 5, 50])
def test_iwae_has_the_toy_s_known_gap_and_lies_between_the_elbo_and_the_evidence(toy, k):
    vae, x, log_evidence, _ = toy
    terms = kelbo.IWAE(k).terms(vae.sampled_trace(x, k, 2))
    gaps = to_numpy(terms["iwae"]) - log_evidence
    error = 4.0 * gaps.std() / 20.0 + 5e-4
    assert gaps.mean() == pytest.approx(GAPS[k], abs=error)
    assert gaps.mean() < error
    if k > 1:
        assert to_numpy(terms["elbo"]).mean() < to_numpy(terms["iwae"]).mean()


@pytest.fixture(scope="module")
def general():
    """A linear model whose exact posterior has correlations: N(Ax + a, L L'), L constant."""
    generator = np.random.default_rng(6)
    w, m, variance = generator.standard_normal((6, 3)), generator.standard_normal(6), 0.7
    covariance = np.linalg.inv(w.T @ w / variance + np.eye(3))
    a, factor = covariance @ w.T / variance, np.linalg.cholesky(covariance)
    x = keras.Input((6,))
    vae = kelbo.VAE(
        kelbo.FullCovariancePosterior(keras.Model(x, layers.Reshape((6,))(x)), 3),
        kelbo.GaussianLikelihood(keras.Sequential([keras.Input((3,)), layers.Dense(6)]), variance),
        seed=0,
    )
    below = factor[np.tril_indices(3, -1)]
    mu, log_diagonal, rest = vae.posterior.heads()
    mu.set_weights([a.T, -a @ m])
    log_diagonal.set_weights([np.zeros((6, 3)), np.log(np.diag(factor))])
    rest.set_weights([np.zeros((6, 3)), below])
    vae.likelihood.network.layers[-1].set_weights([w.T, m])
    law = stats.multivariate_normal(m, w @ w.T + variance * np.eye(6))
    data = law.rvs(50, random_state=0).astype("float32")
    return vae, data, law.logpdf(data)


def test_with_the_exact_full_covariance_every_importance_weight_is_the_evidence(general):
    vae, x, evidence = general
    log_weights = to_numpy(vae.sampled_trace(x, 5, 0).log_weights)
    np.testing.assert_allclose(log_weights, np.tile(evidence, (5, 1)), atol=5e-5)
    bound = vae.log_likelihood(x, num_samples=7, batch_size=50)
    np.testing.assert_allclose(bound, evidence, atol=5e-5)


def test_with_the_exact_full_covariance_the_elbo_is_the_evidence_on_average(general):
    vae, x, evidence = general
    trace = vae.sampled_trace(x, 4000, 0)
    elbos = to_numpy(trace.log_px_z) - to_numpy(trace.kl)
    error = 5.0 * elbos.std(axis=0) / np.sqrt(4000) + 1e-4
    assert np.all(np.abs(elbos.mean(axis=0) - evidence) < error)


def test_with_a_mixture_as_prior_the_bound_comes_to_the_mixture_s_evidence():
    """z ~ sum_k w_k N(m_k, S_k) and x|z ~ N(z, I): x ~ sum_k w_k N(m_k, S_k + I)."""
    prior = kelbo.MixturePrior(3)
    vae = linear_vae(2, 2, 1.0)
    vae = kelbo.VAE(vae.posterior, vae.likelihood, prior=prior, seed=0)
    set_linear(vae, np.eye(2), np.zeros(2), np.zeros(2), np.eye(2), np.zeros(2))
    generator = np.random.default_rng(0)
    mu, log_var, logits = (generator.standard_normal(shape) for shape in ((3, 2), (3, 2), 3))
    prior.set_weights([mu, log_var, logits])
    x = generator.standard_normal((20, 2)).astype("float32")
    each = stats.norm(mu, np.sqrt(np.exp(log_var) + 1.0)).logpdf(x[:, None]).sum(axis=-1)
    evidence = logsumexp(each + logits - logsumexp(logits), axis=-1)
    bound = vae.log_likelihood(x, num_samples=20_000)
    np.testing.assert_allclose(bound, evidence, atol=0.05)
