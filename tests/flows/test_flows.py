import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import kelbo
from kelbo import flows
from kelbo.distributions import Inverse, Normal, Transformed
from kelbo.errors import UsageError
from kelbo.flows.planar import Planar
from tests.support import gradient, to_numpy

D = 4
FLOWS = {
    "planar": lambda: flows.PlanarFlow(3),
    "radial": lambda: flows.RadialFlow(3),
    "householder": lambda: flows.HouseholderFlow(3),
    "inverse-autoregressive": lambda: flows.InverseAutoregressiveFlow(2, 16, 5),
    "masked-autoregressive": lambda: flows.MaskedAutoregressiveFlow(2, 16),
    "real-nvp": lambda: flows.RealNVPFlow(3, 16),
}
every = pytest.mark.parametrize("name", FLOWS)
invertible = pytest.mark.parametrize("name", [name for name in FLOWS if name != "planar"])


def bijector(name, d=D, batch=3, scale=0.8):
    """The flow's map for a batch, with random weights and parameters."""
    flow, generator = FLOWS[name](), np.random.default_rng(5)
    flow.build(d, has_encoder=True)
    for weight in flow.weights:
        weight.assign((0.4 * generator.standard_normal(weight.shape)).astype("float32"))
    parameters = {
        head: ops.convert_to_tensor(
            (scale * generator.standard_normal((batch, size))).astype("float32")
        )
        for head, size in flow.head_sizes(d).items()
    }
    return flow.bijector(parameters)


def vectors(*shape, seed=2):
    values = np.random.default_rng(seed).standard_normal(shape).astype("float32")
    return ops.convert_to_tensor(values)


@every
def test_the_log_determinant_is_the_jacobian_s(name):
    f, x, step = bijector(name), vectors(3, D), 4e-3
    y, log_det = f.forward(x)
    assert y.shape == (3, D) and log_det.shape == (3,)
    # Both ends of a step along each dimension, (D, 3, D).
    steps = step * ops.eye(D)[:, None, :]
    rise = to_numpy(f.forward(x + steps)[0]) - to_numpy(f.forward(x - steps)[0])
    jacobian = np.moveaxis(rise / (2.0 * step), 0, -1)
    _, expected = np.linalg.slogdet(jacobian)
    np.testing.assert_allclose(to_numpy(log_det), expected, atol=5e-3)
    moves = np.abs(to_numpy(y) - to_numpy(x)).max()
    assert moves > 0.1  # a flow that does nothing proves nothing


@invertible
def test_back_and_forth_is_where_it_began(name):
    f, x = bijector(name), vectors(2, 3, D)
    y, log_det = f.forward(x)
    back, log_det_back = f.inverse(y)
    np.testing.assert_allclose(to_numpy(back), to_numpy(x), atol=2e-4)
    np.testing.assert_allclose(to_numpy(log_det_back), -to_numpy(log_det), atol=5e-4)
    again, _ = Inverse(f).inverse(x)
    np.testing.assert_allclose(to_numpy(again), to_numpy(y), atol=2e-4)


@invertible
def test_the_density_integrates_to_one_in_two_dimensions(name):
    q = Transformed(Normal(np.zeros((1, 2)), np.zeros((1, 2))), bijector(name, d=2, batch=1))
    grid = np.linspace(-12.0, 12.0, 401)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 1, 2).astype("float32")
    total = np.exp(to_numpy(q.log_prob(points))).sum() * (grid[1] - grid[0]) ** 2
    # What is missing lies outside, where the draws say how much there is.
    draws = to_numpy(q.sample(0, (20_000,)))
    outside = np.mean(np.abs(draws).max(axis=(1, 2)) > 12.0)
    assert total == pytest.approx(1.0 - outside, abs=0.01)


@invertible
def test_a_draw_s_density_is_that_of_the_point(name):
    q = Transformed(Normal(vectors(3, D), 0.3 * vectors(3, D, seed=8)), bijector(name))
    z, log_q = q.sample_and_log_prob(0, (50,))
    np.testing.assert_allclose(to_numpy(q.log_prob(z)), to_numpy(log_q), rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("scale", [0.01, 1.0, 5.0])
def test_a_planar_map_is_invertible_whatever_the_encoder_says(scale):
    generator = np.random.default_rng(0)
    u, w = (scale * generator.standard_normal((500, D)).astype("float32") for _ in range(2))
    f = Planar(*map(ops.convert_to_tensor, (u, w, np.zeros((500, 1), "float32"))))
    slope = np.sum(to_numpy(f.u) * w, axis=-1)
    assert np.all(slope > -1.0001)
    assert np.isfinite(to_numpy(f.forward(vectors(500, D))[1])).all()
    # Along w the map rises, so no two points meet.
    line = np.linspace(-3, 3, 61)[:, None, None] * w / np.linalg.norm(w, axis=-1, keepdims=True)
    moved, _ = f.forward(ops.convert_to_tensor(line.astype("float32")))
    moved = np.sum(to_numpy(moved) * w, axis=-1)
    assert np.all(np.diff(moved, axis=0) > -1e-4)


def test_a_planar_flow_has_no_inverse_and_says_what_has_one():
    q = Transformed(Normal(np.zeros((3, D)), np.zeros((3, D))), bijector("planar"))
    with pytest.raises(UsageError, match="inverse of a Planar flow is no formula"):
        q.frozen().log_prob(vectors(3, D))


@invertible
def test_frozen_the_density_still_has_its_gradient_in_z(name):
    f, e = bijector(name, batch=1), to_numpy(vectors(1, D))

    def base(mu):
        return Transformed(Normal(mu, np.zeros((1, D))), f)

    z, step = to_numpy(base(e).code()), 1e-2
    found = gradient(lambda at: base(e).frozen().log_prob(at), z)
    steps = step * np.eye(D)[:, None, :]
    rise = to_numpy(base(e).log_prob(z + steps)) - to_numpy(base(e).log_prob(z - steps))
    np.testing.assert_allclose(found[0], rise[:, 0] / (2 * step), rtol=0.02, atol=0.02)
    fixed = ops.convert_to_tensor(z.astype("float32") + 0.3)
    assert np.any(gradient(lambda mu: base(mu).log_prob(fixed), e))
    frozen = gradient(lambda mu: base(mu).frozen().log_prob(fixed) + 0.0 * ops.sum(mu), e)
    np.testing.assert_array_equal(frozen, 0.0)


def test_each_output_of_a_made_sees_the_inputs_before_it_alone():
    d = 5
    flow = flows.InverseAutoregressiveFlow(1, 12, 3)
    flow.build(d, has_encoder=True)
    for weight in flow.weights:
        weight.assign(np.random.default_rng(1).standard_normal(weight.shape).astype("float32"))
    context = vectors(1, 3)
    (f,) = flow.bijectors({"context": context})
    x = np.zeros((d + 1, 1, d), "float32")
    x[np.arange(1, d + 1), 0, np.arange(d)] = 1.0  # each dimension changed in turn
    shift, log_scale = map(to_numpy, f.shift(ops.convert_to_tensor(x)))
    for values in (shift, log_scale):
        sees = np.abs(values[1:, 0] - values[0, 0]) > 1e-6  # (input, output)
        np.testing.assert_array_equal(sees, np.triu(np.ones((d, d), bool), 1))
    other = flow.bijectors({"context": context + 1.0})[0]
    assert np.all(to_numpy(other.shift(ops.convert_to_tensor(x[:1]))[0]) != shift[:1])


def test_reflections_keep_lengths_and_turn_a_diagonal_covariance_into_a_full_one():
    variances = np.array([[4.0, 0.25, 1.0, 0.01]])
    f = bijector("householder", batch=1)
    q = Transformed(Normal(np.ones((1, D)), np.log(variances)), f)
    draws = to_numpy(q.sample(0, (40_000,)))[:, 0]
    np.testing.assert_allclose(draws.mean(axis=0), to_numpy(q.mean())[0], atol=0.05)
    covariance = np.cov(draws.T)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), np.sort(variances[0]), rtol=0.05)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() > 0.1
    log_prob = stats.multivariate_normal(to_numpy(q.mean())[0], covariance).logpdf(draws[:50])
    np.testing.assert_allclose(to_numpy(q.log_prob(draws[:50, None]))[:, 0], log_prob, atol=0.2)


def test_z_of_a_higher_rank_is_the_same_numbers_in_a_row():
    f, mu = bijector("radial", batch=3), vectors(3, D)
    flat = Transformed(Normal(mu, np.zeros((3, D))), f)
    square = Transformed(Normal(mu, np.zeros((3, D))), f, (2, 2))
    z, log_q = square.sample_and_log_prob(0, (7,))
    assert z.shape == (7, 3, 2, 2) and log_q.shape == (7, 3)
    np.testing.assert_allclose(to_numpy(square.log_prob(z)), to_numpy(log_q), rtol=1e-4, atol=1e-3)
    rows = to_numpy(z).reshape(7, 3, D)
    np.testing.assert_allclose(rows, to_numpy(flat.sample(0, (7,))), rtol=1e-6)


def test_a_flow_posterior_takes_a_network_that_gives_an_image_for_z():
    shape = (4, 4, 1)
    x = keras.Input(shape)
    mu, log_var = (keras.layers.Conv2D(2, 3, strides=2, padding="same")(x) for _ in range(2))
    base = kelbo.GaussianPosterior(keras.Model(x, [mu, log_var]))
    posterior = kelbo.FlowPosterior(base, flows.RadialFlow(1))
    posterior.build()
    q = posterior.distribution(posterior(np.random.rand(3, *shape).astype("float32")))
    z, log_q = q.sample_and_log_prob(0, (2,))
    assert z.shape == (2, 3, 2, 2, 2) and log_q.shape == (2, 3)
    assert posterior.encoder().predict(np.zeros((3, *shape)), verbose=0).shape == (3, 2, 2, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flows.PlanarFlow(0), "num_layers >= 1"),
        (lambda: flows.RealNVPFlow(1), "num_layers >= 2"),
        (lambda: flows.RealNVPFlow(2, 0), "hidden_units >= 1"),
        (lambda: flows.RealNVPFlow().build(1), "latent_dim >= 2"),
        (lambda: flows.InverseAutoregressiveFlow(2, 8, 0), "context_units >= 1"),
        (lambda: kelbo.FlowPrior(flows.PlanarFlow()), "A PlanarFlow is for posteriors"),
        (lambda: kelbo.FlowPrior(flows.HouseholderFlow()), "is for posteriors"),
        (lambda: kelbo.FlowPrior("real-nvp"), "Expected an instance of Flow"),
        (lambda: kelbo.FlowPosterior("gaussian"), "expected a Gaussian posterior as its base"),
    ],
)
def test_what_makes_no_flow_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_the_log_determinant_of_a_chain_is_finite_for_any_encoder():
    for name in ("planar", "radial", "householder"):
        y, log_det = bijector(name, scale=20.0).forward(vectors(50, 3, D))
        assert np.isfinite(to_numpy(y)).all() and np.isfinite(to_numpy(log_det)).all(), name
    assert math.isfinite(float(np.sum(to_numpy(log_det))))
