import numpy as np
import pytest

from kelbo.clinic.doctor import load
from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port
from tests.clinic.port.fixtures import BOOKS

FOSTER = next(path for path in BOOKS if path.stem == "foster")


def test_metrics_that_read_the_latents_are_reported_of_each_batch():
    import keras

    names = {}
    exec(compile(port(load(str(FOSTER))).text, str(FOSTER), "exec"), names)
    model, images = names["vae"].model, names["images"]
    found = model.evaluate(images, batch_size=8, y=images, verbose=0, return_dict=True)
    assert found["vae_r_loss"] + found["vae_kl_loss"] == pytest.approx(found["loss"], rel=1e-5)
    # The KL in closed form.
    _, mu, log_var = (
        keras.ops.convert_to_numpy(model(images)[0]),
        *map(keras.ops.convert_to_numpy, model(images)[1:]),
    )
    kl = 0.5 * np.sum(mu**2 + np.exp(log_var) - 1 - log_var, axis=1)
    assert found["vae_kl_loss"] == pytest.approx(kl.mean(), rel=1e-4)


HEAD = """\
from tensorflow import keras
from tensorflow.keras import backend as K
image = keras.Input((4,))
mu = keras.layers.Dense(2)(image)
log_var = keras.layers.Dense(2)(image)
output = keras.layers.Dense(4)(mu)
vae = keras.Model(image, output)
def kl(x, y):
    return -0.5 * K.sum(1 + log_var - K.square(mu) - K.exp(log_var), axis=-1)
"""
ADDED = "vae.add_loss(K.mean(-0.5 * K.sum(1 + log_var - K.square(mu) - K.exp(log_var), axis=-1)))\n"


def test_a_metric_beside_add_loss_gets_them_too():
    result = port(
        read_script("script.py", f'{HEAD}{ADDED}vae.compile("adam", "mse", [kl])\n'.encode())
    )
    assert not result.left and not result.errors
    assert "        (kl,) = self.vae_metrics\n" in result.text
    assert "self.kl_tracker.update_state(kl(y, output, mu=mu, log_var=log_var))" in result.text
    assert 'vae.compile("adam", metrics=[kl])' in result.text


def test_a_metric_does_not_take_the_name_of_a_part_of_the_loss():
    lines = (
        "    kl = K.mean(mu**2)\n    vae.add_loss(kl)\n    vae.compile('adam', 'mse', [of_kl])\n"
    )
    script = f"{HEAD}of_kl = kl\ndef build():\n{lines}build()\n"
    lines = port(read_script("script.py", script.encode())).text.splitlines()
    used = next(n for n, line in enumerate(lines) if "self.kl_tracker.update_state" in line)
    assert lines[used - 1].strip() == "(kl,) = self.vae_metrics"
    assert lines[used + 1].strip() == "kl = ops.mean(mu**2)"


@pytest.mark.parametrize("metrics", ['["mse", kl]', "[lambda x, y: kl(x, y)]", "kl"])
def test_others_are_left_and_named(metrics):
    script = f'{HEAD}{ADDED}vae.compile("adam", "mse", {metrics})\n'
    (left,) = port(read_script("script.py", script.encode())).left
    assert "metrics read log_var and mu from outside" in left.reason
