"""What networks add to the loss is no part of the ELBO: measured weights do not see it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kelbo
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.clinic.diagnosis.loss_weights import measure_loss_weights
from tests.clinic.diagnosis import kelbo_models, models
from tests.clinic.diagnosis.models import DIM, LATENT, SHAPE, images


class Adds(layers.Layer):
    """Hands a tensor on and adds its squares to the loss."""

    def call(self, x):
        self.add_loss(3.0 * ops.sum(ops.square(x)))
        return x


def encoder_that_adds():
    encoder = kelbo_models.encoder()
    mu, log_var = encoder.outputs
    return keras.Model(encoder.inputs, [Adds()(mu), Adds()(log_var)])


STRONG = {"kernel_regularizer": keras.regularizers.L2(5.0), "bias_regularizer": "l2"}
PENALTIES = {
    "weights": lambda: (
        kelbo_models.encoder(hidden=STRONG, mu=STRONG, log_var=STRONG),
        kelbo_models.decoder(**STRONG),
    ),
    "mu": lambda: (
        kelbo_models.encoder(mu={"activity_regularizer": keras.regularizers.L2(5.0)}),
        kelbo_models.decoder(),
    ),
    "log_var": lambda: (
        kelbo_models.encoder(log_var={"activity_regularizer": "l1"}),
        kelbo_models.decoder(activity_regularizer="l1"),
    ),
    "add_loss": lambda: (encoder_that_adds(), kelbo_models.decoder()),
}


def penalty(model):
    """In the same draw of z."""
    model.seed_generator.state.assign([0, 1])
    return model.evaluate(images(), batch_size=120, verbose=0, return_dict=True)["penalty"]


@pytest.mark.parametrize("networks", PENALTIES.values(), ids=PENALTIES)
def test_penalties_of_a_model_of_kelbos_do_not_count(networks):
    model = kelbo_models.made(*networks(), objective=kelbo.ELBO(2.0))
    before = penalty(model)
    assert before > 0.1
    diagnosis = kelbo.diagnose(model, images())
    assert diagnosis.unmeasured == {}
    assert diagnosis.figures["reconstruction_weight"] == pytest.approx(1.0, rel=3e-3)
    assert diagnosis.figures["kl_weight"] == pytest.approx(2.0, rel=1e-4)
    # They are there again.
    assert penalty(model) == pytest.approx(before, rel=1e-5)
    assert all("add_loss" not in vars(layer) for layer in model._flatten_layers())


class AddsItsLosses(models.ForeignVAE):
    def compute_loss(self, *args, **options):
        return super().compute_loss(*args, **options) + sum(self.losses)


def test_keras_regularisers_of_another_model_do_not_count_and_its_own_kl_does():
    def dense(units, *args, **options):
        return layers.Dense(units, *args, **STRONG, **options)

    x, z = keras.Input(SHAPE), keras.Input((LATENT,))
    h = dense(12, "tanh")(layers.Flatten()(x))
    q = [dense(LATENT, name="mu", activity_regularizer="l2")(h), dense(LATENT, name="log_var")(h)]
    decoded = layers.Reshape(SHAPE)(dense(DIM, "sigmoid")(dense(12, "tanh")(z)))
    networks = {
        "encoder": keras.Model(x, [*q, models.Sampling()(q)]),
        "decoder": keras.Model(z, decoded),
    }
    model = AddsItsLosses(weight=3.0, **networks)
    model.compile("adam")
    subject = subject_of(model)
    found = measure_loss_weights(subject, subject.data(images()))
    np.testing.assert_allclose((found.reconstruction, found.kl), (1.0, 3.0), rtol=3e-3)
    assert model.encoder.get_layer("mu").activity_regularizer is not None
    assert model.encoder.get_layer("mu").kernel.regularizer is not None


class KLRegularizer(keras.Regularizer):
    """The KL as the regulariser of what gives mu and log_var side by side."""

    def __call__(self, outputs):
        mu, log_var = ops.split(outputs, 2, axis=-1)
        kl = 0.5 * ops.sum(ops.square(mu) + ops.exp(log_var) - 1.0 - log_var, axis=-1)
        return 3.0 * ops.sum(kl)  # Keras divides it by the batch


def test_a_regulariser_of_ones_own_may_be_the_kl():
    x = keras.Input(SHAPE)
    both = layers.Dense(2 * LATENT, activity_regularizer=KLRegularizer())(layers.Flatten()(x))
    q = [both[:, :LATENT], both[:, LATENT:]]
    model = AddsItsLosses(weight=0.0, encoder=keras.Model(x, [*q, models.Sampling()(q)]))
    model.compile("adam")
    figures = kelbo.diagnose(model, images()).figures
    assert figures["kl_weight"] == pytest.approx(3.0, rel=3e-3)
