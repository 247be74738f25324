"""The noise is multiplied by the standard deviation of the Gaussian that the KL term has."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
from keras import ops

class Sampling(keras.layers.Layer):
    def call(self, inputs):
        mu, s = inputs
        noise = keras.random.normal(ops.shape(mu))
        self.add_loss(-0.5 * ops.mean(ops.sum({kl}, axis=-1)))
        return mu + {deviation} * noise
"""
OF_LOG_VAR = "1 + s - mu**2 - ops.exp(s)"
OF_LOG_SIGMA = "1 + 2 * s - mu**2 - ops.exp(2 * s)"


def findings(deviation, kl=OF_LOG_VAR):
    script = SCRIPT.format(kl=kl, deviation=deviation)
    found = examine(read_script("script.py", script.encode()), select(["KLB204"]))
    return [(finding.happens, finding.repair) for finding in found]


@pytest.mark.parametrize(
    ("deviation", "kl"),
    [
        ("ops.exp(0.5 * s)", OF_LOG_VAR),
        ("ops.sqrt(ops.exp(s))", OF_LOG_VAR),
        ("0.1 * ops.exp(s / 2)", OF_LOG_VAR),
        ("ops.exp(s)", OF_LOG_SIGMA),
        ("ops.sqrt(ops.exp(2 * s))", OF_LOG_SIGMA),
        ("s", "1 + 2 * ops.log(s) - mu**2 - ops.square(s)"),
        ("s", "s"),
        ("ops.sqrt(s)", "1 + ops.log(s) - mu**2 - s"),
        ("ops.softplus(s)", "mu"),
        ("temperature", OF_LOG_VAR),
    ],
)
def test_what_belongs_to_the_kl_term_is_left_alone(deviation, kl):
    assert not findings(deviation, kl)


@pytest.mark.parametrize(
    ("deviation", "kl", "wrong", "logarithm", "right"),
    [
        ("ops.exp(s)", OF_LOG_VAR, "exp(s)", "variance", "exp(0.5 * s)"),
        ("0.5 * ops.exp(s)", OF_LOG_VAR, "exp(s)", "variance", "exp(0.5 * s)"),
        ("ops.exp(2 * s)", OF_LOG_VAR, "exp(2 * s)", "variance", "exp(0.5 * s)"),
        ("ops.sqrt(s)", OF_LOG_VAR, "sqrt(s)", "variance", "exp(0.5 * s)"),
        ("ops.softplus(s)", OF_LOG_VAR, "softplus(s)", "variance", "exp(0.5 * s)"),
        ("s", OF_LOG_VAR, "s", "variance", "exp(0.5 * s)"),
        ("s", OF_LOG_SIGMA, "s", "standard deviation", "exp(s)"),
        ("ops.exp(0.5 * s)", OF_LOG_SIGMA, "exp(0.5 * s)", "standard deviation", "exp(s)"),
    ],
)
def test_another_deviation_is_reported(deviation, kl, wrong, logarithm, right):
    happens = (
        f"The noise is multiplied by {wrong}, but in the KL term s is the logarithm of the "
        f"{logarithm}."
    )
    found = findings(deviation, kl)
    assert (happens, f"Multiply it by {right}.") in found
    assert len(found) == 1


def test_what_is_the_deviation_in_the_kl_term_has_no_exponential():
    kl = "1 + ops.log(ops.square(s)) - mu**2 - ops.square(s)"
    ((happens, repair),) = findings("ops.exp(0.5 * s)", kl)
    assert happens == (
        "The noise is multiplied by exp(0.5 * s), but in the KL term s is the standard deviation "
        "itself."
    )
    assert repair.startswith("Multiply it by s; or write the KL term with the logarithm")
