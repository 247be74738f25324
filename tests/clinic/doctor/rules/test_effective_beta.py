"""The effective beta is read from averages, sums and factors; intended weights are left alone."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
from keras import layers, ops

class Encoder(layers.Layer):
    def __init__(self):
        super().__init__()
        self.to_mu, self.to_log_var = layers.Dense(4), layers.Dense(4)

    def call(self, x):
        return self.to_mu(x), self.to_log_var(x)

class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.decoder = keras.Sequential([layers.Dense(100, activation="sigmoid")])

    def call(self, x):
        mu, log_var = self.encoder(x)
        r = self.decoder(mu)
        bce = keras.losses.binary_crossentropy(x, r)
        mse = keras.losses.mean_squared_error(x, r)
        kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
        self.add_loss({loss})
        return r

vae = VAE()
vae.compile("adam"{compiled})
vae.fit(x, x{batch})
"""


def said(loss, compiled="", batch=""):
    script = SCRIPT.format(loss=loss, compiled=compiled, batch=batch)
    found = examine(read_script("script.py", script.encode()), select(["KLB201"]))
    return " ".join(f"{finding.happens} {finding.repair}" for finding in found)


@pytest.mark.parametrize(
    "loss",
    [
        "ops.mean(100 * bce - 0.5 * ops.sum(kl, axis=-1))",
        "ops.mean(100 * bce - 2 * ops.sum(kl, axis=-1))",  # a weight of 4 between two sums
        "ops.mean(50 * mse - 0.5 * ops.sum(kl, axis=-1))",
        "ops.mean(100 * mse - 0.5 * ops.sum(kl, axis=-1))",  # a Gaussian of variance 1/2
        "ops.mean(mse) - 0.5 * ops.mean(ops.sum(kl, axis=-1)) / 100",
        "ops.sum(100 * bce) - 0.5 * ops.sum(kl)",
        "ops.sum(100 * bce - 0.5 * ops.sum(kl, axis=-1))",
        "ops.mean(100 * bce) - 0.5 * ops.sum(kl) / size",
        "ops.mean(100 * bce) - 0.5 * ops.sum(kl) / 64",
    ],
)
def test_nothing_is_said_of_the_elbo(loss):
    assert not said(loss)


@pytest.mark.parametrize(
    ("loss", "what"),
    [
        ("ops.mean(100 * bce - ops.sum(kl, axis=-1))", "-1 stands in front of the KL term's"),
        ("ops.mean(100 * bce - ops.sum(kl, axis=-1))", "Write -0.5 there"),
        ("ops.mean(100 * bce - 1.0 * ops.sum(kl, axis=-1))", "a weight of 2 is intended"),
        ("ops.mean(100 * bce) - 0.5 * ops.mean(kl)", "a sum over 100 pixels, the KL term is a me"),
        ("ops.mean(bce) - 0.5 * ops.mean(kl)", "a mean over 100 pixels, the KL term is a mean ove"),
        ("ops.mean(bce) - 0.5 * ops.mean(kl)", "effective beta is 25."),
        ("ops.mean(100 * bce) - 0.5 * ops.sum(kl)", "beta grows with the batch size: it is that"),
        ("ops.mean(bce) - 0.5 * ops.sum(kl)", "it is 100 times that size."),
        ("ops.mean(100 * bce - 0.5 * ops.sum(kl))", "The KL term is summed over the batch, too"),
        ("ops.sum(100 * bce) - 0.5 * ops.mean(ops.sum(kl, axis=-1))", "it is 1 divided by that"),
    ],
)
def test_it_is_said_what_weighs_the_kl_term(loss, what):
    assert what in said(loss)


@pytest.mark.parametrize(
    "weighted",
    [
        "2 * (-0.5 * ops.sum(kl, axis=-1))",
        "2 * -0.5 * ops.sum(kl, axis=-1)",
        "-0.5 * 2 * ops.sum(kl, axis=-1)",
        "2 * (-ops.sum(kl, axis=-1) / 2)",
    ],
)
def test_a_weight_that_stands_beside_the_half_is_meant(weighted):
    assert not said(f"ops.mean(100 * bce + {weighted})")


def test_the_batch_size_is_read():
    loss = "ops.mean(bce) - 0.5 * ops.sum(kl)"
    assert "size, 6,400 with batches of 64" in said(loss, "", ", batch_size=64")
    loss = "ops.mean(100 * bce) - 0.5 * ops.sum(kl) / 64"
    assert not said(loss, "", ", batch_size=64")
    assert "2 with batches of 128" in said(loss, "", ", batch_size=128")


def test_a_model_of_a_class_has_the_output_of_its_call():
    compiled = ", loss=keras.losses.MeanSquaredError()"
    assert "the effective beta is 12.5" in said("-0.5 * ops.mean(kl)", compiled)


@pytest.mark.parametrize(
    ("reduction", "is_mean"),
    [("None", True), ('"sum_over_batch_size"', True), ('"sum"', False), ('"none"', False)],
)
def test_a_loss_that_is_no_mean_of_the_batch_is_not_taken_for_one(reduction, is_mean):
    compiled = f", loss=keras.losses.MeanSquaredError(reduction={reduction})"
    given = compiled.replace("reduction=None", "")
    assert ("the effective beta is 12.5" in said("-0.5 * ops.mean(kl)", given)) == is_mean
