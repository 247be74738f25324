"""Tensors that a loss is given beforehand, by functools.partial, are read from outside too."""

import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.source import read_script

SCRIPT = """
import functools
from functools import partial
from tensorflow import keras

image = keras.Input((4,))
mu = keras.layers.Dense(2)(image)

class Losses:
    def bound(self, weight, y_true, y_pred, *, latent):
        return weight * keras.losses.mse(y_true, y_pred) + latent

def loss(weight, y_true, y_pred, latent):
    return weight * keras.losses.mse(y_true, y_pred) + latent

vae = keras.Model(image, keras.layers.Dense(4)(mu))
vae.compile("adam", loss={loss})
"""


@pytest.mark.parametrize(
    ("loss", "finds"),
    [
        ("partial(loss, 1.0, latent=mu)", True),
        ("functools.partial(loss, mu, latent=0.0)", True),
        ("partial(partial(loss, 1.0), latent=mu)", True),
        ("partial(Losses().bound, 1.0, latent=mu)", True),
        ("partial(loss, 1.0, latent=0.0)", False),
        ("partial(Losses().bound, 1.0, latent=0.0)", False),
        ("partial(loss, *weights, **{'latent': 0.0})", False),
    ],
)
def test_what_partial_gives_a_loss(loss, finds):
    source = read_script("script.py", SCRIPT.format(loss=loss).encode())
    found = examine(source, select(["KLB101"]))
    assert [finding.place.line for finding in found] == [17] * finds
