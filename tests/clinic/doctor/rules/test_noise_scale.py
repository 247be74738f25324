"""The noise has a standard deviation of 1, wherever the script says so."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
import numpy as np
import tensorflow as tf
from keras import backend as K, ops

epsilon_std = 0.01

class Sampling(keras.layers.Layer):
    def call(self, inputs):
        mu, s = inputs
        self.add_loss({kl})
        noise = {noise}
        return mu + {product}
"""
KL = "-0.5 * ops.mean(ops.sum(1 + s - mu**2 - ops.exp(s), axis=-1))"
PRODUCT = "ops.exp(s / 2) * noise"


@pytest.mark.parametrize(
    ("noise", "product", "kl", "scale"),
    [
        ("keras.random.normal((4, 2), stddev=0.01)", PRODUCT, KL, "0.01"),
        ("keras.random.normal((4, 2), 0.0, 0.01)", PRODUCT, KL, "0.01"),
        ("K.random_normal((4, 2), mean=0.0, stddev=epsilon_std)", PRODUCT, KL, "0.01"),
        ("tf.random.normal((4, 2), stddev=2.0)", PRODUCT, KL, "2"),
        ("np.random.normal(0.0, 0.1, (4, 2))", PRODUCT, KL, "0.1"),
        ("keras.random.normal((4, 2))", "epsilon_std * ops.exp(s / 2) * noise", KL, "0.01"),
        ("keras.random.normal((4, 2))", PRODUCT, KL, None),
        ("keras.random.normal((4, 2), stddev=1.0)", PRODUCT, KL, None),
        ("keras.random.normal((4, 2), stddev=temperature)", PRODUCT, KL, None),
        ("keras.random.normal((4, 2), stddev=0.01)", "noise", KL, None),
        ("keras.random.normal((4, 2), stddev=0.01)", PRODUCT, "mu", None),
    ],
)
def test_noise_of_another_scale_is_reported(noise, product, kl, scale):
    script = SCRIPT.format(noise=noise, product=product, kl=kl)
    found = examine(read_script("script.py", script.encode()), select(["KLB205"]))
    says = f"The noise of z has a standard deviation of {scale}, but the KL term supposes 1."
    assert [finding.happens for finding in found] == [says] * (scale is not None)
