"""The gradients of the bounds, exactly: by Gauss-Hermite quadrature over the draws.

One datum x, one latent z. Every row of a batch is the same x with the draws at one node, and its
sample weight is the node's: so one training step takes the expectation over all draws without
error, and its gradient must be that of the expected bound, which NumPy differentiates.
"""

import itertools

import keras
import numpy as np
import pytest
from scipy.special import logsumexp

import kelbo
from kelbo.errors import UsageError
from tests import kinds
from tests.support import Gradient, to_numpy
from tests.test_truths import linear_vae, set_linear

X, VARIANCE = 0.8, 0.7
# a and its bias, log_var of q; w and its bias of p(x|z): not the exact posterior.
PARAMETERS = np.array([0.3, -0.2, -0.9, 0.9, 0.1])
# With these q(z|x) is exact.
EXACT = np.array([0.9 / (0.81 + VARIANCE), -0.09 / (0.81 + VARIANCE), 0.0, 0.9, 0.1])
EXACT[2] = np.log(VARIANCE / (0.81 + VARIANCE))


def nodes(draws, degree):
    """Standard normal noise, (n, draws), and the weight of each row, (n,)."""
    points, weights = np.polynomial.hermite_e.hermegauss(degree)
    weights = weights / weights.sum()
    grid = np.array(list(itertools.product(points, repeat=draws)))
    return grid, np.array([np.prod(each) for each in itertools.product(weights, repeat=draws)])


def log_normal(x, mean, variance):
    return -0.5 * (np.log(2.0 * np.pi * variance) + (x - mean) ** 2 / variance)


def log_terms(parameters, noise):
    """log p(x|z), log p(z) and log q(z|x) of each draw: (n, draws)."""
    a, a_bias, log_var, w, w_bias = parameters
    mean, variance = a * X + a_bias, np.exp(log_var)
    z = mean + np.sqrt(variance) * noise
    log_pz, log_qz = log_normal(z, 0.0, 1.0), log_normal(z, mean, variance)
    return log_normal(X, w * z + w_bias, VARIANCE), log_pz, log_qz


def expected(bound, parameters, noise, weights):
    log_px_z, log_pz, log_qz = log_terms(parameters, noise)
    return weights @ bound(log_px_z + log_pz - log_qz)


def slope(bound, noise, weights, at=PARAMETERS):
    """The gradient of the expected bound in each parameter, by central differences."""
    steps = 1e-5 * np.eye(len(at))
    both = [
        [expected(bound, at + sign * step, noise, weights) for sign in (1, -1)] for step in steps
    ]
    return np.array([(up - down) / 2e-5 for up, down in both])


def iwae(log_w):
    return logsumexp(log_w, axis=1) - np.log(log_w.shape[1])


def miwae(log_w):  # of two averages of two
    return 0.5 * (iwae(log_w[:, :2]) + iwae(log_w[:, 2:]))


def renyi(alpha):
    return lambda log_w: iwae((1.0 - alpha) * log_w) / (1.0 - alpha)


def ciwae(log_w):
    return 0.3 * log_w.mean(axis=1) + 0.7 * iwae(log_w)


def elbo(log_w):
    return log_w.mean(axis=1)


# How the objective is made, its sample axes, and what encoder and decoder learn from.
BOUNDS = {
    "elbo": (kelbo.ELBO, (), elbo, elbo),
    "iwae 1": (lambda **k: kelbo.IWAE(1, **k), (1,), elbo, elbo),
    "iwae 2": (lambda **k: kelbo.IWAE(2, **k), (2,), iwae, iwae),
    "miwae": (lambda **k: kelbo.MIWAE(2, 2, **k), (2, 2), miwae, miwae),
    "piwae": (lambda **k: kelbo.PIWAE(2, 2, **k), (2, 2), miwae, iwae),
    "ciwae": (lambda **k: kelbo.CIWAE(2, 0.3, **k), (2,), ciwae, ciwae),
    "renyi 0.4": (lambda **k: kelbo.Renyi(2, 0.4, **k), (2,), renyi(0.4), renyi(0.4)),
    "renyi -1": (lambda **k: kelbo.Renyi(2, -1.0, **k), (2,), renyi(-1.0), renyi(-1.0)),
    "renyi 1": (lambda **k: kelbo.Renyi(2, 1.0, **k), (2,), elbo, elbo),
}
PLAIN, STL, DREG = "reparameterised", "stl", "dreg"
GRADIENTS = {
    "elbo": (PLAIN, STL),
    "iwae 1": (DREG,),
    "ciwae": (PLAIN, DREG),
    "renyi -1": (DREG,),
    "renyi 1": (DREG,),
}
CASES = [
    (name, gradient) for name in BOUNDS for gradient in GRADIENTS.get(name, (PLAIN, STL, DREG))
]


class Trial:
    """A model whose training steps see these draws in every row, on a datum that is always X."""

    def __init__(self, monkeypatch, objective, sample_shape, noise):
        shaped = np.moveaxis(noise.reshape(-1, *sample_shape), 0, -1)[..., None]
        tensor = keras.ops.convert_to_tensor(shaped.astype("float32"))
        monkeypatch.setattr(keras.random, "normal", lambda shape, **kwargs: tensor)
        self.vae = linear_vae(1, 1, VARIANCE, objective)
        self.vae.compile(Gradient())
        self.x = np.full((len(noise), 1), X, "float32")

    def step(self, at, weights):
        """The loss and its gradient in the order of PARAMETERS."""
        a, a_bias, log_var, w, w_bias = at.reshape(5, 1)
        set_linear(self.vae, a[:, None], a_bias, log_var, w[:, None], w_bias)
        weights = (len(weights) * weights).astype("float32")
        logs = self.vae.train_on_batch(self.x, self.x, weights, return_dict=True)
        encoder, decoder = self.vae.posterior.network, self.vae.likelihood.network
        moved = [
            *encoder.get_layer("mu").weights,
            encoder.get_layer("log_var").bias,
            *decoder.get_layer("x").weights,
        ]
        return float(logs["loss"]), np.array([to_numpy(weight).item() for weight in moved])


@pytest.mark.parametrize(("name", "gradient"), CASES)
def test_the_expected_gradient_is_the_bound_s_and_zero_at_each_draw_of_the_exact_q(
    monkeypatch, name, gradient
):
    make, sample_shape, encoder_bound, decoder_bound = BOUNDS[name]
    draws = int(np.prod(sample_shape))
    noise, weights = nodes(draws, {1: 60, 2: 40, 4: 9}[draws])
    trial = Trial(monkeypatch, make(gradient=gradient), sample_shape, noise)
    loss, found = trial.step(PARAMETERS, weights)
    assert loss == pytest.approx(-expected(decoder_bound, PARAMETERS, noise, weights), rel=1e-4)
    wanted = np.concatenate(
        [slope(encoder_bound, noise, weights)[:3], slope(decoder_bound, noise, weights)[3:]]
    )
    close = np.abs(found + wanted) < 2e-3 * np.abs(wanted).max()
    assert close[3:].all()
    biased = gradient == STL and draws > 1
    assert close[:3].all() != biased

    one = np.eye(len(noise))[len(noise) // 3]
    _, found = trial.step(EXACT, one)
    if gradient == PLAIN:
        assert np.abs(found[:3]).max() > 1e-2
    else:
        np.testing.assert_allclose(found[:3], 0.0, atol=1e-5)
    assert np.abs(found[3:]).max() > 1e-2


def test_the_weight_of_the_kl_stays_with_stl(monkeypatch):
    noise, weights = nodes(1, 60)

    def weighed(parameters):
        log_px_z, log_pz, log_qz = log_terms(parameters, noise)
        return weights @ (log_px_z + 3.0 * (log_pz - log_qz))[:, 0]

    steps = 1e-5 * np.eye(5)
    wanted = [(weighed(PARAMETERS + e) - weighed(PARAMETERS - e)) / 2e-5 for e in steps]
    _, found = Trial(monkeypatch, kelbo.ELBO(3.0, "stl"), (), noise).step(PARAMETERS, weights)
    np.testing.assert_allclose(found, -np.array(wanted), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_a_flow_that_knows_no_density_at_a_given_z_is_refused(gradient):
    model = kinds.MODELS["flow"]()
    with pytest.raises(UsageError, match="a Cubic knows its density only together with the draw"):
        model.objective = kelbo.IWAE(2, gradient)


def test_an_unknown_estimator_is_refused():
    with pytest.raises(UsageError, match="'reparameterised', 'stl', 'dreg', received 'vimco'"):
        kelbo.MIWAE(2, 2, "vimco")
    with pytest.raises(UsageError, match="received 'dreg'. kelbo.IWAE has 'dreg' too"):
        kelbo.ELBO(gradient="dreg")


@pytest.mark.parametrize("alpha", ["1", None, np.inf, np.nan, 1.0005, True])
def test_what_is_no_alpha_is_refused(alpha):
    with pytest.raises(UsageError, match="Expected alpha"):
        kelbo.Renyi(2, alpha)


@pytest.mark.parametrize("share", [-0.1, 1.1, None])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(UsageError, match="share"):
        kelbo.CIWAE(2, share)


def test_the_bounds_lie_in_their_order():
    vae = linear_vae(1, 1, VARIANCE)
    x = np.full((400, 1), X, "float32")
    trace = vae.sampled_trace(x, 4, 0)
    objectives = [kelbo.Renyi(4, alpha) for alpha in (2.0, 1.0, 0.6, 0.0, -1.0)]
    values = [to_numpy(each.terms(trace)["renyi"]) for each in objectives]
    for lower, higher in itertools.pairwise(values):
        assert np.all(lower <= higher + 1e-5)
    iwae_4 = to_numpy(kelbo.IWAE(4).terms(trace)["iwae"])
    np.testing.assert_allclose(values[3], iwae_4, atol=1e-5)
    ends = [to_numpy(kelbo.CIWAE(4, share).terms(trace)["ciwae"]) for share in (0.0, 1.0)]
    np.testing.assert_allclose(ends[0], iwae_4, atol=1e-5)
    np.testing.assert_allclose(ends[1], values[1], atol=1e-5)
