"""Findings speak of a script with its own names, and of what it imports."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

LOSS = """
import keras
from keras import layers, ops

class VAE(keras.Model):
    def call(self, x):
        mu, log_var = layers.Dense(2)(x), layers.Dense(2)(x)
        kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
        rec = 4 * keras.losses.binary_crossentropy(x, layers.Dense(4, activation="sigmoid")(mu))
        self.add_loss({loss})
        return mu
"""
ATTRIBUTES = """
import keras

class Net(keras.Model):
    def __init__(net):
        super().__init__()
        net.dense = keras.layers.Dense(4)

    def call(net, x):
        h = net.dense(x)
        {attributes}
        return h
"""
LAMBDA = """
import keras

def sampling(t):
    return t + keras.random.normal((2, 2))

keras.layers.Lambda({function})(keras.Input((2,)))
"""
GAUSSIAN = """
{imports}
image = keras.Input((4,))
mean, xlv = keras.layers.Dense(4)(image), keras.layers.Dense(4)(image)

def loss(x, y):
    return xlv + (x - mean) ** 2 / {exp}(xlv)

keras.Model(image, mean).compile("adam", loss)
"""


def said(code, script, **parts):
    (finding,) = examine(read_script("script.py", script.format(**parts).encode()), select([code]))
    return f"{finding.happens} {finding.repair}"


@pytest.mark.parametrize(
    ("loss", "what"),
    [
        (
            "kl",
            "gets kl, which has one value for each datum of the batch. The weight",
        ),
        ("kl", "self.add_loss(ops.mean(kl))"),
        ("rec + kl", "self.add_loss gets rec + kl, which"),
        ("rec + kl", "they keep their weights to each other, and the whole loss grows"),
        ("rec", "each datum of the batch. Take the mean"),
    ],
)
def test_what_a_loss_per_sample_changes(loss, what):
    assert what in said("KLB106", LOSS, loss=loss)


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ("net.mu = h", "stores a tensor of this batch in net.mu. Keep it in a local name"),
        ("net.mu = h", "net.tracker.update_state(mu)."),
        (
            "net.mu, net.lv = h[:, :2], h[:, 2:]",
            "stores tensors of this batch in net.mu and net",
        ),
        ("net.mu, net.lv = h[:, :2], h[:, 2:]", "net.tracker.update_state(mu)."),
    ],
)
def test_the_attributes_are_named(attributes, what):
    assert what in said("KLB503", ATTRIBUTES, attributes=attributes)


def test_a_lambda_has_no_name():
    assert "calls sampling, which" in said("KLB301", LAMBDA, function="sampling")
    assert "Make sampling the call" in said("KLB301", LAMBDA, function="sampling")
    function = "lambda t: t + keras.random.normal((2, 2))"
    assert "calls a lambda, which" in said("KLB301", LAMBDA, function=function)
    assert "Make its formula the call" in said("KLB301", LAMBDA, function=function)


@pytest.mark.parametrize(
    ("imports", "exp", "clip"),
    [
        ("import tensorflow as tf\nfrom tensorflow import keras", "tf.exp", "tf.clip_by_value"),
        ("import keras\nfrom keras import ops", "ops.exp", " ops.clip"),
        ("import keras\nfrom keras import backend as K", "K.exp", "keras.ops.clip"),
    ],
)
def test_the_clip_is_of_what_the_script_imports(imports, exp, clip):
    assert f"{clip}(xlv, -6.0, 2.0)" in said("KLB215", GAUSSIAN, imports=imports, exp=exp)
