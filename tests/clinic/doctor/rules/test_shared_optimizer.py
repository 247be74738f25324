"""One optimizer for two sets of variables is reported, and only where both sets are known."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import tensorflow as tf
from tensorflow import keras

inputs = keras.Input((4,))
encoder = keras.Model(inputs, keras.layers.Dense(2)(inputs))
latent = keras.Input((2,))
decoder = keras.Model(latent, keras.layers.Dense(4)(latent))
vae = keras.Model(inputs, decoder(encoder(inputs)))
adam, other = keras.optimizers.Adam(), keras.optimizers.SGD()
{calls}
"""
APPLY = "{}.apply_gradients(zip(g, {}.trainable_variables))"


def findings(*calls):
    script = SCRIPT.format(calls="\n".join(calls))
    return examine(read_script("script.py", script.encode()), select(["KLB504"]))


@pytest.mark.parametrize(
    ("calls", "number"),
    [
        ([APPLY.format("adam", "encoder"), APPLY.format("adam", "decoder")], 1),
        ([APPLY.format("adam", "encoder"), APPLY.format("other", "decoder")], 0),
        ([APPLY.format("adam", "encoder"), APPLY.format("adam", "encoder")], 0),
        ([APPLY.format("adam", "vae"), APPLY.format("adam", "decoder")], 0),
        ([APPLY.format("adam", "encoder"), APPLY.format("adam", "unknown")], 0),
        (
            [
                "adam.build(encoder.trainable_variables + decoder.trainable_variables)",
                APPLY.format("adam", "encoder"),
                APPLY.format("adam", "decoder"),
            ],
            0,
        ),
        (
            [
                "adam.apply(g, encoder.trainable_weights)",
                "adam.apply(g, encoder.trainable_weights + decoder.trainable_weights)",
            ],
            1,
        ),
        (
            [
                "adam = keras.optimizers.legacy.Adam()",
                APPLY.format("adam", "encoder"),
                APPLY.format("adam", "decoder"),
            ],
            0,
        ),
    ],
)
def test_two_sets_of_one_optimizer(calls, number):
    assert len(findings(*calls)) == number
