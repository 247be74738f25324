"""Subclassed models whose train_step has a tape: what is ported, what it computes, what is left."""

import functools
from concurrent.futures import ThreadPoolExecutor

import pytest

from kelbo.clinic.doctor import load
from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port
from tests.clinic.port.fixtures import LEFT_STEPS, PORTED, STEPS
from tests.processes import run_jobs

BACKENDS = ("tensorflow", "jax", "torch")
REASONS = {
    "another_call": "line 14 has a call that returns something else",
    "another_test": "line 29 returns a value that no metric has",
    "clipped": "line 22 changes the gradients by hand",
    "custom_loop": "train with fit and a compute_loss",
    "derived": "Other is derived from its class",
    "labels_unknown": "make the labels a part of x",
    "masked": "line 22 applies gradients in a way of its own",
    "only_tensorflow": "line 18 uses tf.image.ssim",
    "persistent": "line 15 gives the tape options",
    "returned_losses": "line 17 calls a layer and computes a loss",
    "several_updates": "line 15 updates the weights in a loop",
    "some_weights": "it trains self.decoder alone",
    "two_optimizers": "line 23 trains with self.encoder_optimizer",
    "two_tapes": "line 23 opens a second tape",
}


def name(path):
    return path.stem


@functools.cache
def ported(path):
    return port(load(str(path)))


@pytest.mark.parametrize("path", STEPS, ids=name)
def test_a_train_step_becomes_a_compute_loss(path):
    result = ported(path)
    assert result.text == (PORTED / "train_step" / path.name).read_text()
    assert not result.left and not result.errors
    again = port(read_script(path.name, result.text.encode()))
    assert not again.changed and not again.left


@pytest.mark.parametrize("path", LEFT_STEPS, ids=name)
def test_what_no_compute_loss_can_do_is_left_whole_and_named(path):
    result = ported(path)
    (left,) = result.left
    assert "tf.GradientTape" in left.reason and REASONS[path.stem] in left.reason
    before = path.read_text().splitlines()
    assert "GradientTape" in before[left.line - 1]
    after = [line for line in result.text.splitlines() if "# kelbo port: left" not in line]
    assert after == [
        line.replace("from tensorflow import keras", "import keras") for line in before
    ]


STEP = """\
    def train_step(self, data):
        with tf.GradientTape() as tape:
            mu, log_var, z = self.encoder(data)
            y = self.decoder(z)
            kl = -0.5 * tf.reduce_mean(1 + log_var - tf.square(mu) - tf.exp(log_var))
            loss = tf.reduce_mean(tf.square(data - y)) + kl
        grads = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        return {"loss": loss}
"""
WITH = "        with tf.GradientTape() as tape:\n"
BODY = (LEFT_STEPS[0].parent / "clipped.py").read_text().partition("    def train_step")[0]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("data)\n", "data)\n            self.steps = 1\n", "line 18 is more than a computation"),
        (
            "            loss =",
            "            if kl > 0:\n                kl = 2 * kl\n            loss =",
            "a condition",
        ),
        (
            "            y = self",
            "            self.add_loss(z)\n            y = self",
            "line 18 is more than a computation",
        ),
        ('"loss": loss', '"lr": self.optimizer.learning_rate', "a number of the optimizer"),
        ("(loss, self", "(self.kl(loss), self", "give what it returns a name"),
        (WITH, "        data = data / 2\n" + WITH, ""),
        (WITH, "        mu, log_var, z = self.encoder(data)\n" + WITH, "line 16 computes outside"),
        (
            "        return",
            "        self.kl.update_state(self.critic(y))\n        return",
            "after the update",
        ),
        ("+ kl", "+ self.compiled_loss(data, y)", "uses self.compiled_loss"),
        ("self.encoder(data)", "self.encoder(data, training=True)", "only some of its layers"),
        (
            "        return",
            "        self.train_step = None\n        return",
            "uses self.train_step itself",
        ),
        ('{"loss": loss}', "self.track(loss)", "returns what self.track makes"),
        ("tf.reduce_mean(tf.square(data - y))", "self.loss_of(data, y)", ""),
        ("decoder(z)", "decoder(z + np.random.normal(size=(2,)))", "noise with NumPy"),
        ("data - y", "data[0] - y", "takes a part of data"),
        (
            "            loss =",
            "            data = 2 * data\n            loss =",
            "changes data after its use",
        ),
    ],
)
def test_a_step_with_more_than_a_loss_is_left(before, after, reason):
    text = "import numpy as np\n" + BODY + STEP.replace(before, after, 1)
    result = port(read_script("script.py", text.encode()))
    assert (reason in result.left[0].reason) if reason else not result.left


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What came of training each script: one process for each environment."""
    folder = tmp_path_factory.mktemp("steps")
    copies = {path: folder / path.name for path in STEPS}
    for path, copy in copies.items():
        copy.write_text(ported(path).text)

    def run(environment):
        original = environment == "keras 2"
        names = {str(path if original else copy): path.stem for path, copy in copies.items()}
        keras = {"TF_USE_LEGACY_KERAS": "1"} if original else {"KERAS_BACKEND": environment}
        found = run_jobs("tests.clinic.port.run_steps", list(names), "", **keras)
        return {names[path]: result for path, result in found.items()}

    environments = ("keras 2", *BACKENDS)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(environments, pool.map(run, environments), strict=True))


@pytest.mark.parametrize("path", STEPS, ids=name)
def test_a_ported_model_trains_as_the_original_on_three_backends(path, trained):
    expected = trained["keras 2"][path.stem]
    assert expected["weights"] and expected["history"]
    for backend in BACKENDS:
        found = trained[backend][path.stem]
        history = {key: found["history"][key] for key in expected["history"]}
        for key, values in expected["history"].items():
            assert history[key] == pytest.approx(values, rel=1e-5)
        # The gradients were the same, too.
        assert found["weights"] == pytest.approx(expected["weights"], rel=1e-4, abs=1e-5)
        assert found["predicted"] == pytest.approx(expected["predicted"], rel=1e-4)
