"""What is measured is what the model trains on, and the measurement leaves no trace."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

import kelbo
from kelbo.clinic.diagnosis import loss_weights
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.clinic.diagnosis.loss_weights import UnmeasuredError, measure_loss_weights
from kelbo.clinic.diagnosis.meanings import GAUSSIAN, LOGITS, PROBABILITIES
from kelbo.clinic.diagnosis.unchanged import unchanged
from kelbo.objectives import ELBO, ArticleObjective
from tests.clinic.diagnosis import models
from tests.clinic.diagnosis.models import (
    DIM,
    LATENT,
    foreign_vae,
    images,
    make_decoder,
    make_encoder,
)
from tests.support import data, randomise, tiny_vae


class PassesTrainingOn(models.ForeignVAE):
    def call(self, x, training=None):
        mu, log_var, z = self.encoder(x, training=training)
        return self.decoder(z, training=training), mu, log_var


def measured(model, x=None, y=None):
    x = images(80) if x is None else x
    subject = subject_of(model)
    return measure_loss_weights(subject, replace(subject.data(x, y), target=x))


@pytest.mark.parametrize(
    ("reconstruction", "weight", "activation", "expected"),
    [
        (models.cross_entropy, 1.0, "sigmoid", (PROBABILITIES, 1.0, 1.0)),
        (models.cross_entropy, 49.0, "sigmoid", (PROBABILITIES, 1.0, 49.0)),
        (models.cross_entropy, 0.0, "sigmoid", (PROBABILITIES, 1.0, 0.0)),
        (models.cross_entropy, -1.0, "sigmoid", (PROBABILITIES, 1.0, -1.0)),
        (models.mean_cross_entropy, 1.0, "sigmoid", (PROBABILITIES, 1 / DIM, 1.0)),
        (models.mean_cross_entropy, 1e-4, "sigmoid", (PROBABILITIES, 1 / DIM, 1e-4)),
        (models.from_logits, 2.0, None, (LOGITS, 1.0, 2.0)),
        (models.mean_squared_error, 1 / LATENT, "sigmoid", (GAUSSIAN, 2 / DIM, 1 / LATENT)),
        (models.mean_squared_error, 1.0, None, (GAUSSIAN, 2 / DIM, 1.0)),
    ],
)
def test_the_loss_of_any_model(reconstruction, weight, activation, expected):
    model = foreign_vae(reconstruction, weight, decoder=make_decoder(activation))
    found = measured(model)
    assert found.likelihood == expected[0]
    np.testing.assert_allclose((found.reconstruction, found.kl), expected[1:], rtol=3e-3)
    assert found.effective_beta == pytest.approx(expected[2] / expected[1], rel=3e-3)


@pytest.mark.parametrize("activation", ["tanh", None])
@pytest.mark.parametrize("networks", [(make_encoder, make_decoder), (None, models.image_decoder)])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_cross_entropy_of_what_is_no_probability_is_known(activation, networks, scale):
    encoder = networks[0]() if networks[0] else models.image_encoder()
    decoder = networks[1](activation)
    model = foreign_vae(models.mean_cross_entropy, 0.5, encoder=encoder, decoder=decoder)
    x = images(80) * scale + 1.0 - scale
    if keras.backend.backend() == "torch" and x.min() < 0.0:  # PyTorch refuses it itself
        with pytest.raises(UnmeasuredError, match="target should be between 0 and 1"):
            measured(model, x)
        return
    found = measured(model, x)
    assert found.likelihood == PROBABILITIES
    np.testing.assert_allclose((found.reconstruction, found.kl), (1 / DIM, 0.5), rtol=3e-3)


def test_outputs_that_are_all_alike_are_spread_or_left():
    """There the gradient of a cross-entropy is four times that of a squared error."""
    alike, constant = foreign_vae(), foreign_vae()
    last = [layer for layer in alike.decoder.layers if layer.weights][-1]
    last.set_weights([1e-3 * weight for weight in last.get_weights()])
    found = measured(alike)
    assert found.likelihood == PROBABILITIES
    assert found.effective_beta == pytest.approx(1.0, rel=3e-3)
    for weight in constant.decoder.weights:
        weight.assign(np.zeros(weight.shape))
    with pytest.raises(UnmeasuredError, match="more than one likelihood .* train on first"):
        measured(constant)


def with_dropout(network):
    """A network of the same layers, with a dropout before its last Dense layers."""

    def clone(layer):
        if isinstance(layer, keras.layers.Flatten):
            return keras.Sequential([layer, keras.layers.Dropout(0.3, seed=1)])
        if isinstance(layer, keras.layers.Reshape):
            return keras.Sequential([keras.layers.Dropout(0.3, seed=1), layer])
        return layer

    return keras.models.clone_model(network, clone_function=clone)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_dropout_drops_the_same_in_every_pass(part):
    networks = {"encoder": make_encoder(), "decoder": make_decoder()}
    networks[part] = with_dropout(networks[part])
    model = PassesTrainingOn(weight=100.0, **networks)
    model.compile("adam")
    if part == "decoder":
        # Outputs that a dropout has set to 0 are no probabilities, but of no weight here.
        model.reconstruction = models.mean_squared_error
    found = measured(model)
    expected = 100.0 if part == "encoder" else 100.0 * DIM / 2
    assert found.effective_beta == pytest.approx(expected, rel=3e-3)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="others keep the state themselves")
def test_a_dropout_without_a_state_is_said():
    encoder = keras.models.clone_model(
        make_encoder(),
        clone_function=lambda layer: (
            keras.Sequential([layer, keras.layers.Dropout(0.3)])
            if isinstance(layer, keras.layers.Flatten)
            else layer
        ),
    )
    model = PassesTrainingOn(encoder=encoder)
    model.compile("adam")
    with pytest.raises(UnmeasuredError, match="mu differs from pass to pass"):
        measured(model)


def test_the_clip_that_the_cures_advise_does_not_hide_it():
    model = foreign_vae(weight=100.0, encoder=make_encoder(clip=(-20.0, 10.0)))
    assert measured(model).effective_beta == pytest.approx(100.0, rel=3e-3)


def test_weights_in_bfloat16_are_too_coarse():
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = foreign_vae()
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(UnmeasuredError, match="the weights are bfloat16, too coarse"):
        measured(model)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 50])
def test_a_deep_decoder_has_few_parts(count):
    arrived = [(None, np.array([float(number)])) for number in range(count)]
    parts = loss_weights._in_parts(arrived)
    assert sum(parts, []) == arrived
    assert len(parts) == min(count, 8) and all(parts)


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli", "gaussian-per-pixel"])
@pytest.mark.parametrize(
    ("objective", "kl"), [(ELBO(2.5), 2.5), (ArticleObjective(), None)], ids=["elbo", "article"]
)
def test_a_model_of_kelbo_has_the_beta_that_it_says(likelihood, objective, kl):
    vae = tiny_vae(likelihood, objective)
    randomise(vae)
    vae.compile("adam")
    found = measured(vae, data(80))
    assert found.effective_beta == pytest.approx(vae.effective_beta, rel=3e-3)
    if kl is not None:
        assert found.kl == pytest.approx(kl, rel=1e-5)


def test_a_warm_up_is_measured_where_it_is():
    vae = tiny_vae(objective=ELBO(kelbo.LinearWarmup(steps=10, beta=2.0)))
    vae.training_steps.assign(4)
    vae.compile("adam")
    assert measured(vae, data(80)).kl == pytest.approx(1.0, rel=1e-5)  # of the fifth step
    assert int(vae.training_steps) == 4


@pytest.mark.parametrize("kind", [models.ForeignVAE, PassesTrainingOn])
def test_a_bounded_log_var_and_batch_normalisation_do_not_hide_it(kind):
    encoder, decoder = make_encoder(clip=(-35.0, 10.0)), make_decoder(normalised=True)
    model = kind(weight=3.0, encoder=encoder, decoder=decoder)
    model.compile("adam")
    assert measured(model).effective_beta == pytest.approx(3.0, rel=3e-3)


def test_the_weights_of_networks_in_bfloat16_are_measured_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = foreign_vae(models.mean_cross_entropy, 2.0)
    finally:
        keras.config.set_dtype_policy("float32")
    found = measured(model)
    assert found.likelihood == PROBABILITIES
    np.testing.assert_allclose((found.reconstruction, found.kl), (1 / DIM, 2.0), rtol=3e-3)
    layers = model._flatten_layers()
    assert {layer.dtype_policy.name for layer in layers} == {"mixed_bfloat16"}


def test_units_of_a_relu_near_0_do_not_hide_it():
    z = keras.Input((LATENT,))
    # On, and off as soon as a bias is lowered by a little.
    h = keras.layers.Dense(12, "relu", True, "zeros", keras.initializers.Constant(1e-6))(z)
    h = keras.layers.Concatenate()([h, keras.layers.Dense(6, "tanh")(z)])
    x = keras.layers.Reshape(models.SHAPE)(keras.layers.Dense(DIM, "sigmoid")(h))
    found = measured(foreign_vae(weight=3.0, decoder=keras.Model(z, x)))
    assert found.likelihood == PROBABILITIES
    np.testing.assert_allclose((found.reconstruction, found.kl), (1.0, 3.0), rtol=3e-3)


def test_a_frozen_encoder_gets_no_kl():
    model = foreign_vae()
    model.encoder.trainable = False
    assert measured(model).kl == 0.0


def test_the_target_is_what_is_reconstructed():
    class NeedsTarget(models.ForeignVAE):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return super().compute_loss(None, ops.multiply(1.0, y), y_pred)

    model = NeedsTarget()
    model.compile("adam")
    with pytest.raises(UnmeasuredError, match=r"pass y=x"):
        measured(model)
    assert measured(model, y=images(80)).effective_beta == pytest.approx(1.0, rel=3e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="GradientTape")
def test_a_train_step_of_its_own_without_a_call():
    found = measured(models.train_step_vae())
    assert found.effective_beta == pytest.approx(1.0, rel=3e-3)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (models.ForeignVAE, "not compiled"),
        (
            lambda: foreign_vae(encoder=make_encoder(clip=(-2.0, 2.0))),
            "no bias was found",
        ),
        (lambda: foreign_vae(lambda x, p: ops.sum(p, axis=(1, 2, 3))), "not that of a cross-ent"),
        (
            lambda: foreign_vae(lambda x, p: ops.sum(ops.sqrt(0.0 * p), axis=(1, 2, 3))),
            "not finite",
        ),
    ],
)
def test_what_cannot_be_measured_is_not_guessed(model, reason):
    with pytest.raises(UnmeasuredError, match=reason):
        measured(model())


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    x = images(64)
    model, untouched = foreign_vae(), foreign_vae()
    for one in (model, untouched):
        keras.utils.set_random_seed(3)
        for weight in one.weights:
            if "float" in weight.dtype:
                weight.assign(keras.random.normal(weight.shape, seed=len(weight.shape)))
        one.fit(x, batch_size=32, epochs=2, shuffle=False, verbose=0)
    optimizer, train_function = model.optimizer, model.train_function
    before = state(model)
    diagnosis = kelbo.diagnose(model, x, y=x.reshape(64, DIM) if fails else None)
    assert bool(diagnosis.unmeasured) == fails
    assert model.optimizer is optimizer
    assert model.train_function is train_function
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other)
    for one in (model, untouched):
        one.fit(x, batch_size=32, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(state(untouched), state(model), strict=True):
        np.testing.assert_array_equal(one, other)


def state(model):
    """Weights, noise, metrics and optimiser."""
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    return [np.array(ops.convert_to_numpy(variable), copy=True) for variable in variables]


def test_an_optimiser_beside_that_of_compile_is_put_back_and_said():
    class StepsOnItsOwn(models.ForeignVAE):
        def train_step(self, *given):
            logs = {"loss": ops.zeros(())}
            return logs if len(given) == 1 else (logs, given[0])  # JAX hands a state over, too

    model = StepsOnItsOwn()
    model.compile("adam")
    model.own = keras.optimizers.SGD()
    with unchanged(subject_of(model)):
        model.own.iterations.assign(5)
    assert int(model.own.iterations) == 0
    with pytest.raises(UnmeasuredError, match="does not use the optimiser of compile"):
        measured(model)
