"""A forgotten exponential in the KL term is found, and other sums are not taken for one."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import keras
from keras import ops

class Layer(keras.layers.Layer):
    def call(self, inputs):
        mu, lv = inputs
        return {code}
"""


def findings(code):
    script = SCRIPT.format(code=code).encode()
    return [
        (f.happens, f.repair) for f in examine(read_script("script.py", script), select(["KLB203"]))
    ]


@pytest.mark.parametrize(
    "code",
    [
        "-0.5 * ops.sum(1 + lv - ops.square(mu) - lv, axis=-1)",
        "0.5 * ops.mean(lv + mu**2 - 1 - lv)",
    ],
)
def test_a_forgotten_exponential_is_found(code):
    assert findings(code) == [
        (
            "In this KL term lv is added and subtracted: exp is missing.",
            "Write exp(lv) where it is subtracted.",
        )
    ]


@pytest.mark.parametrize(
    "code", ["1 - mu**2", "lv - mu**2 - lv", "1 + lv - mu - lv", "1 + lv - 2 * mu**2 - lv"]
)
def test_other_sums_are_left_alone(code):
    assert not findings(code)
