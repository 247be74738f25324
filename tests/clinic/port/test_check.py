import re

import keras
import pytest

from kelbo.clinic.doctor import load
from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import Checked, check, port
from tests.clinic.port.fixtures import BOOKS, IN_INNER_MODEL, LOSSES, STEPS

BACKEND = keras.backend.backend()
FOSTER = port(load(str(next(path for path in BOOKS if path.stem == "foster"))))


def test_a_changed_weight_is_seen(tmp_path, trials_here):
    wrong = FOSTER.text.replace("kl_loss = -0.5 *", "kl_loss = -1.0 *")
    found = check(wrong, tmp_path, FOSTER.formula, BACKEND)
    assert not found.failure
    assert found.loss > found.expected and not found.equal


@pytest.fixture(scope="module")
def regularized():
    dense = 'Dense(self.z_dim, name="mu")'
    script = next(path for path in BOOKS if path.stem == "foster").read_text()
    assert dense in script
    options = 'kernel_regularizer="l2", activity_regularizer="l1"'
    script = script.replace(dense, f'Dense(self.z_dim, {options}, name="mu")')
    return port(read_script("foster.py", script.encode()))


def test_regularizers_count_in_both(regularized, tmp_path, trials_here):
    found = check(regularized.text, tmp_path, regularized.formula, BACKEND)
    assert found.equal and found.expected is not None
    without = regularized.text.replace(" + sum(self.losses)", "")
    assert without != regularized.text
    assert not check(without, tmp_path, regularized.formula, BACKEND).equal


def test_what_a_layer_adds_otherwise_counts_in_the_loss_alone(regularized, tmp_path, trials_here):
    drawn = "return mu + ops.exp(log_var / 2) * epsilon"
    assert drawn in regularized.text
    kl = "-0.5 * ops.mean(ops.sum(1 + log_var - mu**2 - ops.exp(log_var), axis=1))"
    twice = regularized.text.replace(drawn, f"self.add_loss({kl})\n                {drawn}")
    found = check(twice, tmp_path, regularized.formula, BACKEND)
    assert not found.failure
    assert found.loss > found.expected and not found.equal


ALONE, MODEL = (
    next(path for path in LOSSES if path.stem == stem)
    for stem in ("layer_alone", "layer_is_the_model")
)


@pytest.mark.parametrize("path", [ALONE, MODEL, IN_INNER_MODEL], ids=lambda path: path.stem)
def test_what_layers_of_the_original_add_is_a_part_of_the_formula(path, tmp_path, trials_here):
    ported = port(load(str(path)))
    found = check(ported.text, tmp_path, ported.formula, BACKEND)
    assert found.expected is not None and found.equal, found.failure
    lost = ported.text.replace(" + sum(self.losses)", "").replace("self.add_loss(", "str(")
    other = check(lost, tmp_path, ported.formula, BACKEND)
    assert other.loss != pytest.approx(found.loss)


def halved_kl(text):
    """The script with half the KL term: the code of a port is one of these."""
    wrong = re.sub(r"-\s?0\.5 \* (?=\(|ops)", "-0.25 * ", text)
    assert wrong != text
    return wrong


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_a_ported_train_step_has_the_loss_that_the_tape_followed(path, tmp_path, trials_here):
    ported = port(load(str(path)))
    found = check(ported.text, tmp_path, ported.formula, BACKEND)
    assert found.equal, found
    if "add_loss" in ported.text:
        wrong = ported.text.replace("sum(self.losses)", "0.5 * sum(self.losses)")
        assert wrong != ported.text
    else:
        wrong = halved_kl(ported.text)
    other = check(wrong, tmp_path, ported.formula, BACKEND)
    assert not other.failure and not other.equal


# The heads start at zero, so that the KL is 0 before training, whatever its weight.
ZEROS = """\
import numpy as np
import tensorflow as tf
from tensorflow import keras
image = keras.Input((6,))
mu = keras.layers.Dense(2, kernel_initializer="zeros")(image)
log_var = keras.layers.Dense(2, kernel_initializer="zeros")(image)
output = keras.layers.Dense(6, activation="sigmoid")(mu)
vae = keras.Model(image, output)
kl = -0.5 * tf.reduce_sum(1 + log_var - tf.square(mu) - tf.exp(log_var), axis=-1)
vae.add_loss(1e-3 * tf.reduce_mean(kl))
vae.compile("adam", loss="mse")
vae.fit(np.zeros((8, 6)), np.zeros((8, 6)))
"""


def test_the_weight_of_a_kl_that_is_zero_at_first_is_seen(tmp_path, trials_here):
    ported = port(read_script("script.py", ZEROS.encode()))
    assert check(ported.text, tmp_path, ported.formula, BACKEND).equal
    assert not check(halved_kl(ported.text), tmp_path, ported.formula, BACKEND).equal


ENDS = (
    "class VAE(keras.Model):\n    def compute_loss(self, x=None, **kwargs):\n        return 0.0\n"
)
FITS = """\
class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2
    def __getitem__(self, place):
        return {batch}
class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(3)
    def call(self, inputs):
        return self.layer(inputs{part})
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        assert {holds}
        return ops.mean(y_pred**2)
vae = VAE()
vae.compile("sgd")
vae.fit({given})
"""
X, Y = "np.ones((8, 6), 'float32')", "np.ones((8, 2), 'int32')"
IMAGE, LABEL = "x.shape[1:] == (6,)", "y.shape[1:] == (2,) and 'int' in str(y.dtype)"


@pytest.mark.parametrize(
    ("given", "part", "holds"),
    [
        (X, "", f"{IMAGE} and y is None"),
        (f"{X}, {Y}", "", f"{IMAGE} and {LABEL}"),
        (f"[{X}, {Y}]", "[0]", "x[1].shape[1:] == (2,) and 'int' in str(x[1].dtype)"),
        (f"x={{'image': {X}}}, batch_size=4", "['image']", "x['image'].shape in [(4, 6), (4, 6)]"),
        ("Batches()", "", f"{IMAGE} and {LABEL}"),
        (f"iter([({X}, {Y})])", "", f"{IMAGE} and {LABEL}"),
    ],
)
def test_a_model_without_inputs_gets_what_fit_is_given(given, part, holds, tmp_path, trials_here):
    code = FITS.format(given=given, part=part, holds=holds, batch=f"{X}, {Y}")
    script = f"import keras\nimport numpy as np\nfrom keras import ops\n{code}"
    found = check(script, tmp_path, None, BACKEND)
    assert not found.failure and found.trained


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (ENDS, "Add lines that make the model, compile it and fit it"),
        ("model = keras.Sequential([])\nmodel.fit([[1.0]])\n", "no model that has a compute_loss"),
        (f"{ENDS}VAE().fit(None)\n", "it is not known what fit is given"),
    ],
)
def test_a_script_that_trains_no_vae_is_told_what_to_do(code, failure, tmp_path, trials_here):
    assert failure in check(f"import keras\n{code}", tmp_path, None, BACKEND).failure


LABELLED = """\
import numpy as np
from tensorflow import keras
from tensorflow.keras import backend as K
image = keras.Input({image})
label = keras.Input({label})
drawn = keras.layers.Rescaling(1.0)(image)
one_hot = keras.layers.CategoryEncoding(4, output_mode="one_hot")(label)
hidden = keras.layers.concatenate([drawn, one_hot])
mu = keras.layers.Dense(2)(hidden)
log_var = keras.layers.Dense(2)(hidden)
output = keras.layers.Dense(6, activation="sigmoid")(mu)
vae = keras.Model([image, label], output)
weight = K.gather(K.constant([1.0, 2.0, 3.0, 4.0]), label)
kl = -0.5 * K.sum(1 + log_var - K.square(mu) - K.exp(log_var), axis=-1)
vae.add_loss(K.mean(weight * 6 * keras.losses.binary_crossentropy(image, output) + kl))
vae.compile("adam")
vae.fit([np.zeros((8, 6)), np.zeros(8, "int32")])
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_an_input_of_integers_gets_integers(backend, tmp_path):
    text = LABELLED.format(image="(6,)", label="(), dtype='int32'")
    ported = port(read_script("script.py", text.encode()))
    found = check(ported.text, tmp_path, ported.formula, backend)
    assert not found.failure and found.loss is not None


def test_an_image_of_integers_has_the_loss_of_the_formula(tmp_path, trials_here):
    text = LABELLED.format(image="(6,), dtype='uint8'", label="(), dtype='int32'")
    ported = port(read_script("script.py", text.replace("weight *", "1.0 *").encode()))
    found = check(ported.text, tmp_path, ported.formula, BACKEND)
    assert found.expected is not None and found.equal


def test_what_fails_is_named(tmp_path, trials_here):
    found = check(
        "import socket\nsocket.create_connection(('localhost', 9))\n", tmp_path, None, BACKEND
    )
    assert found.loss is None and not found.equal
    assert "downloads nothing" in found.failure


def test_data_sets_have_their_lengths(tmp_path, trials_here):
    script = (
        "import keras\n"
        "(x, _), (t, _) = keras.datasets.mnist.load_data()\n"
        "x, t = x.reshape(60000, 784), t.reshape(10000, 784)\n"
        "(x, y), _ = keras.datasets.cifar10.load_data()\n"
        "x, y = x.reshape(50000, 3072), y.reshape(50000, 1)[:, 0]\n"
        "raise SystemExit('so far')\n"
    )
    assert "so far" in check(script, tmp_path, None, BACKEND).failure


def test_no_picture_is_drawn_of_the_model(tmp_path, trials_here):
    script = "from keras.utils import plot_model\nplot_model(None)\nraise SystemExit('so far')\n"
    assert "so far" in check(script, tmp_path, None, BACKEND).failure


@pytest.mark.parametrize(
    ("loss", "expected", "equal"),
    [(1.0, 1.0, True), (1.0, None, False), (1.0, 1.01, False), (None, None, False)],
)
def test_losses_are_compared(loss, expected, equal):
    assert Checked(loss=loss, expected=expected).equal is equal
