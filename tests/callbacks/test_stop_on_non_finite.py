"""The message of a training that diverged names the batch, the epoch and the right term."""

import keras
import numpy as np
import pytest

import kelbo
from kelbo.callbacks import StopOnNonFinite
from kelbo.errors import DivergedError
from tests.support import data, tiny_ae, tiny_vae, weights

FINE = {"loss": 5.0, "kl": 1.0, "reconstruction": -4.0, "elbo": -5.0}


def run(*batches):
    callback = StopOnNonFinite()
    callback.on_epoch_begin(1)
    for batch, logs in enumerate(batches):
        callback.on_train_batch_end(batch, logs)


def test_says_nothing_while_all_is_finite():
    run(FINE, FINE, {**FINE, "loss": np.float32(1e38)}, {}, None)


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        (
            {**FINE, "loss": np.inf, "kl": np.inf},
            ["The loss became inf", "first term to go was kl, while reconstruction was still"],
        ),
        (
            {**FINE, "loss": np.nan, "reconstruction": -np.inf},
            ["first term to go was reconstruction, while kl was still finite", "variance"],
        ),
        (
            {**FINE, "loss": np.nan, "kl": np.inf, "reconstruction": np.nan},
            ["The first term to go was kl:", "clipnorm"],
        ),
        (
            {**FINE, "loss": np.nan, "kl": np.nan, "reconstruction": np.nan},
            ["kl and reconstruction went in the same batch", "already NaN"],
        ),
    ],
    ids=["kl", "reconstruction", "kl-then-all", "all"],
)
def test_names_the_term_that_went_first(logs, words):
    with pytest.raises(DivergedError) as caught:
        run(FINE, FINE, logs)
    message = str(caught.value)
    assert "in batch 3 of epoch 2." in message
    assert "Means until then: loss 5, kl 1, reconstruction -4, elbo -5." in message
    assert all(word in message for word in words)


def overflowing_kl():
    vae = tiny_vae()
    vae.posterior.log_var.bias.assign([120.0, 120.0])  # exp(120) is more than float32 holds
    return vae


def overflowing_reconstruction():
    vae = tiny_vae("gaussian")
    vae.likelihood.network.get_layer("dec_output").bias.assign([1e25] * 6)
    return vae


def nan_weight():
    vae = tiny_vae()
    vae.posterior.network.get_layer("enc_dense_1").bias.assign([np.nan] * 5)
    return vae


def autoencoder():
    ae = tiny_ae()
    ae.likelihood.network.get_layer("dec_output").bias.assign([np.nan] * 6)
    return ae


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (overflowing_kl, "batch 1 of epoch 1.*first term to go was kl, while reconstruction"),
        (overflowing_reconstruction, "first term to go was reconstruction, while kl was still"),
        (nan_weight, "kl and reconstruction went at once, and no update came before"),
        (autoencoder, "first term to go was reconstruction:"),
    ],
)
def test_fit_stops_and_the_model_can_still_be_read(model, message):
    model = model()
    model.compile("sgd")
    with pytest.raises(DivergedError, match=message):
        model.fit(data(12), batch_size=4, verbose=0)
    assert len(weights(model)) == 10 - (2 if isinstance(model, kelbo.AE) else 0)
    assert model.predict(data(3), verbose=0).shape == data(3).shape


def test_a_training_that_diverges_midway_keeps_the_weights_it_had_come_to():
    vae = tiny_vae()
    vae.compile(keras.optimizers.SGD(1e-3))
    before = weights(vae)

    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                vae.optimizer.learning_rate = np.inf

    with pytest.raises(DivergedError, match="of epoch 2"):
        vae.fit(data(12), batch_size=4, epochs=3, callbacks=Break(), verbose=0)
    after = weights(vae)
    assert int(vae.optimizer.iterations) in (4, 5)
    assert any(np.isnan(weight).any() for weight in after)
    vae.set_weights([weight.astype("float32") for weight in before])
    assert np.isfinite(vae.predict(data(3), verbose=0)).all()


def test_before_the_first_update_no_update_is_blamed():
    callback = StopOnNonFinite()
    callback.on_epoch_begin(0)
    nan = dict.fromkeys(("loss", "kl", "reconstruction"), float("nan"))
    with pytest.raises(DivergedError, match="no update came before.*sample weights"):
        callback.on_train_batch_end(0, nan)


def test_it_joins_a_list_of_callbacks_that_keras_made_once():
    vae = nan_weight()
    vae.compile("sgd")
    callbacks = keras.callbacks.CallbackList([keras.callbacks.History()], model=vae)
    for _ in range(2):
        with pytest.raises(DivergedError):
            vae.fit(data(12), batch_size=4, verbose=0, callbacks=callbacks)
    assert [type(callback) for callback in callbacks.callbacks][1:] == [StopOnNonFinite]
