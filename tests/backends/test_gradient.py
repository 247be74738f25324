"""The gradient of a density: exact, differentiable, and inside what Keras compiles."""

import keras
import numpy as np
import pytest
from keras import ops

from kelbo.backends.gradient import value_and_gradient
from kelbo.distributions import Normal
from tests.support import Gradient, gradient, to_numpy

AT = np.float32([[0.5, -1.0], [2.0, 0.25], [-3.0, 1.5]])


def log_density(mu=1.0, log_var=0.7):
    return Normal(ops.full((2,), mu), ops.full((2,), log_var)).log_prob


FUNCTIONS = {
    "normal": (log_density(), lambda z: -(z - 1.0) * np.exp(-0.7)),
    "of rank 3": (
        lambda z: ops.sum(ops.reshape(z, (3, 2, 1)) ** 3, axis=(1, 2)),
        lambda z: 3.0 * z**2,
    ),
    "constant in z": (lambda z: ops.ones((3,)), lambda z: 0.0 * z),
    "gradient of a gradient": (
        lambda z: ops.sum(value_and_gradient(lambda y: ops.sum(y**3, -1), z)[1], axis=-1),
        lambda z: 6.0 * z,
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_gradient_are_exact(name):
    f, expected = FUNCTIONS[name]
    value, slope = value_and_gradient(f, AT)
    np.testing.assert_array_equal(to_numpy(value), to_numpy(f(ops.convert_to_tensor(AT))))
    np.testing.assert_allclose(to_numpy(slope), expected(AT), rtol=1e-5)


def test_the_gradient_can_be_differentiated_where_it_was_taken():
    squared = gradient(lambda z: value_and_gradient(log_density(), z)[1] ** 2, AT)
    np.testing.assert_allclose(squared, 2.0 * (AT - 1.0) * np.exp(-1.4), rtol=1e-5)


def test_value_and_gradient_can_be_differentiated_in_the_parameters_of_f():
    def loss(mu):  # at a constant
        value, slope = value_and_gradient(lambda z: -0.5 * ops.sum((z - mu) ** 2, -1), AT)
        return ops.sum(value) + ops.sum(slope**2)

    # -(mu - z) of the value and 2 (mu - z) of the squared slope.
    mu = np.float32([0.5, 1.0])
    np.testing.assert_allclose(gradient(loss, mu), np.sum(mu - AT, 0), rtol=1e-5)


def test_f_may_use_the_same_tensor_as_a_constant():
    def loss(z):
        return value_and_gradient(lambda y: ops.sum(y * z, axis=-1), z)[1]

    np.testing.assert_allclose(to_numpy(loss(ops.convert_to_tensor(AT))), AT)
    np.testing.assert_allclose(gradient(loss, AT), np.ones_like(AT))


class Penalised(keras.Model):
    """loss = mean_n |d f(x) / d x|^2 of f(x) = 1' tanh(W x), which is known in closed form."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, "tanh", use_bias=False)
        self.dense.build((None, 2))
        self.built = True

    def penalty(self, x):
        def f(x):
            return ops.sum(self.dense(x), axis=-1)

        _, slope = value_and_gradient(f, x)
        return ops.sum(slope**2, axis=-1)

    def call(self, x):
        return self.penalty(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(y_pred)


def penalty_of(kernel):
    return np.mean(np.sum(((1.0 - np.tanh(AT @ kernel) ** 2) @ kernel.T) ** 2, axis=-1))


def test_a_penalty_on_a_gradient_trains_and_predicts_in_compiled_steps():
    model = Penalised()
    kernel = to_numpy(model.dense.kernel)
    model.compile(Gradient())
    history = model.fit(AT, batch_size=3, verbose=0).history
    assert history["loss"][0] == pytest.approx(penalty_of(kernel), rel=1e-5)
    step, numeric = 1e-5, np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape):
        moved = np.zeros_like(kernel)
        moved[place] = step
        numeric[place] = (penalty_of(kernel + moved) - penalty_of(kernel - moved)) / (2 * step)
    np.testing.assert_allclose(to_numpy(model.dense.kernel), numeric, rtol=1e-3, atol=1e-5)
    again = to_numpy(model.dense.kernel)
    assert np.mean(model.predict(AT, verbose=0)) == pytest.approx(penalty_of(again), rel=1e-5)


class Leapfrog(keras.Model):
    """Ten steps of Hamiltonian dynamics in the density N(0, I), in a loop of keras.ops."""

    def call(self, z):
        def slope(z):
            return value_and_gradient(lambda z: -0.5 * ops.sum(z**2, axis=-1), z)[1]

        def step(_, state):
            z, momentum = state
            momentum = momentum + 0.05 * slope(z)
            z = z + 0.1 * momentum
            return z, momentum + 0.05 * slope(z)

        z, momentum = ops.fori_loop(0, 10, step, (z, ops.zeros_like(z)))
        return ops.concatenate([z, momentum], axis=-1)


def test_it_stands_in_a_compiled_loop():
    model = Leapfrog()
    model.built = True
    found = model.predict_on_batch(AT)
    expected = np.concatenate([AT * np.cos(1.0), -AT * np.sin(1.0)], axis=-1)
    np.testing.assert_allclose(found, expected, atol=5e-3)
