import ast
import json
import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.recipes import probe
from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.clinic.recipes.trial import PROBE

SCRIPTS = [script for recipe in CATALOGUE.values() for script in recipe.scripts]


def arrays(kl=1.0, extra=0.0):
    """A parity file's gradients, and the gradient of a recipe in which the KL counts `kl` times."""
    random = np.random.default_rng(0)
    parity, gradient = {}, {}
    for name in ("mu/kernel", "log_var/bias", "dec_dense/kernel"):
        plain = random.standard_normal(5)
        part = random.standard_normal(5) if name.startswith(("mu", "log_var")) else np.zeros(5)
        parity[f"plain:{name}"] = plain
        parity[f"gradient:{name}"] = plain + part
        gradient[name] = plain + kl * part
    gradient["mu/kernel"] = gradient["mu/kernel"] + extra
    return gradient, parity


def test_a_gradient_that_is_the_reference_has_no_error():
    measured = probe.compare(*arrays())
    assert measured["gradient_error"] == 0.0
    assert measured["kl_share"] == pytest.approx(1.0)
    assert measured["kl_error"] == pytest.approx(0.0, abs=1e-12)


@given(st.floats(-50.0, 50.0))
def test_the_share_is_how_often_the_kl_counts(kl):
    measured = probe.compare(*arrays(kl))
    assert measured["kl_share"] == pytest.approx(kl, abs=1e-9)
    assert measured["kl_error"] == pytest.approx(0.0, abs=1e-9)


def test_the_error_is_relative_to_the_weight_that_is_worst():
    gradient, parity = arrays(extra=0.25)
    reference = parity["gradient:mu/kernel"]
    measured = probe.compare(gradient, parity)
    assert measured["worst_weight"] == "mu/kernel"
    assert measured["gradient_error"] == pytest.approx(
        0.25 * np.sqrt(5) / np.linalg.norm(reference)
    )


def test_what_is_not_along_the_kl_is_an_error_of_it():
    gradient, parity = arrays(kl=0.5)
    kl = np.concatenate(
        [parity[f"gradient:{n}"] - parity[f"plain:{n}"] for n in ("mu/kernel", "log_var/bias")]
    )
    across = np.zeros(10)
    across[:2] = -kl[1], kl[0]  # at right angles to it
    gradient["mu/kernel"] = gradient["mu/kernel"] + across[:5]
    measured = probe.compare(gradient, parity)
    assert measured["kl_share"] == pytest.approx(0.5)
    assert measured["kl_error"] == pytest.approx(np.linalg.norm(across) / np.linalg.norm(kl))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_the_worst(value):
    gradient, parity = arrays(kl=32.0)
    gradient["dec_dense/kernel"] = np.full(5, value)
    measured = probe.compare(gradient, parity)
    assert measured["worst_weight"] == "dec_dense/kernel"
    assert not np.isfinite(measured["gradient_error"])


def test_an_autoencoder_has_no_share_of_the_kl():
    gradient = {"z/kernel": np.ones(3)}
    parity = {"gradient:z/kernel": np.ones(3), "plain:z/kernel": np.ones(3)}
    assert probe.compare(gradient, parity) == {"gradient_error": 0.0, "worst_weight": "z/kernel"}


# What was raised on Keras 3.15 by a layer's call, with the colours of its message.
KERAS_3 = """Exception encountered when calling Bad.call().

\x1b[1mA KerasTensor cannot be used as input to a TensorFlow function.\x1b[0m

Arguments received by Bad.call():
  \u2022 x=tf.Tensor(shape=(None, 2), dtype=float32)"""

# The same when the functional model is made, and Keras asks the layer for its output's shape.
KERAS_3_SYMBOLIC = """Exception encountered when calling Bad.call().

\x1b[1mCould not automatically infer the output shape / dtype of 'bad' (of type Bad). Either the \
`Bad.call()` method is incorrect, or you need to implement the `Bad.compute_output_spec() / \
compute_output_shape()` method. Error encountered:

Bad things
happen here\x1b[0m

Arguments received by Bad.call():
  \u2022 args=('<KerasTensor shape=(None, 3), dtype=float32, name=keras_tensor>',)"""

TENSORFLOW_2_4 = """in user code:

    /home/x/lib/python3.7/site-packages/tensorflow/python/keras/engine/training.py:800 \
train_function  *
        return step_function(self, iterator)
    recipe.py:9 vae_loss  *
        raise ValueError("Bad")
    /home/x/lib/python3.7/site-packages/numpy/core/_asarray.py:83 asarray
        return array(a, dtype, copy=False, order=order)

    TypeError: Cannot convert a symbolic Keras input/output to a numpy array. This error may \
indicate that you're trying to pass a symbolic value to a NumPy call, which is not supported.
"""

TENSORFLOW_2_8 = """in user code:

    File "/home/x/keras/engine/training.py", line 1021, in train_function  *
        return step_function(self, iterator)
    File "/home/x/recipe.py", line 9, in vae_loss  *
        kl_loss = KL_FACTOR * K.mean(1 + log_var)

    TypeError: You are passing KerasTensor(type_spec=TensorSpec(shape=(), dtype=tf.float32, \
name=None), name='tf.math.reduce_mean/Mean:0'), an intermediate Keras symbolic input/output.
"""

# A layer of tf-keras 2.21, when the model is made.
LAYER_IN_USER_CODE = """Exception encountered when calling layer "bad" (type Bad).

in user code:

    File "/tmp/e/recipe.py", line 9, in call  *
        raise ValueError("Bad things")

    ValueError: Bad things
    happen here to 'SymbolicTensor'


Call arguments received by layer "bad" (type Bad):
  \u2022 x=tf.Tensor(shape=(None, 3), dtype=float32)"""

# A layer in a layer of tf-keras 2.21, in the training step.
NESTED = """in user code:

    File "/x/tf_keras/src/engine/training.py", line 1398, in train_function  *
        return step_function(self, iterator)

    ValueError: Exception encountered when calling layer 'sub' (type Sub).
    
    in user code:
    
        File "/tmp/e/recipe.py", line 16, in call  *
            return self.bad(self.d(x))
    
        ValueError: Exception encountered when calling layer 'bad_1' (type Bad).
        
        in user code:
        
            File "/tmp/e/recipe.py", line 9, in call  *
                raise ValueError("Bad things")
        
            ValueError: Bad things
            happen here to 'SymbolicTensor'
        
        
        Call arguments received by layer 'bad_1' (type Bad):
          \u2022 x=tf.Tensor(shape=(None, 2), dtype=float32)
    
    
    Call arguments received by layer 'sub' (type Sub):
      \u2022 x=tf.Tensor(shape=(None, 3), dtype=float32)
"""  # noqa: W293

# The same, where the inner layer is none that AutoGraph looks into.
NESTED_PLAIN = """in user code:

    File "/x/tf_keras/src/engine/training.py", line 1398, in train_function  *
        return step_function(self, iterator)

    ValueError: Exception encountered when calling layer 'sub' (type Sub).
    
    Input 0 of layer "dense" is incompatible with the layer.
    
    Call arguments received by layer 'sub' (type Sub):
      \u2022 x=tf.Tensor(shape=(None, 3), dtype=float32)
"""  # noqa: W293


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", ""),
        ("No loss to compute.", "No loss to compute."),
        ("\n\n  First.\nSecond.", "First."),
        (KERAS_3, "A KerasTensor cannot be used as input to a TensorFlow function."),
        (KERAS_3_SYMBOLIC, "Bad things"),
        (
            TENSORFLOW_2_4,
            "Cannot convert a symbolic Keras input/output to a numpy array. This error may "
            "indicate that you're trying to pass a symbolic value to a NumPy call, which is not "
            "supported.",
        ),
        (
            TENSORFLOW_2_8,
            "You are passing KerasTensor(type_spec=TensorSpec(shape=(), dtype=tf.float32, "
            "name=None), name='tf.math.reduce_mean/Mean:0'), an intermediate Keras symbolic "
            "input/output.",
        ),
        (LAYER_IN_USER_CODE, "Bad things"),
        (NESTED, "Bad things"),
        (NESTED_PLAIN, 'Input 0 of layer "dense" is incompatible with the layer.'),
        ("Exception encountered when calling f().", "Exception encountered when calling f()."),
        ("<function f at 0x7f3c08a1d5a0> failed", "<function f at 0x...> failed"),
        ("See /home/someone/lib/python3.7/keras/a.py, line 3", "See a.py, line 3"),
        ("See https://www.tensorflow.org/api_docs/python/tf/function", None),
        ("An input/output of shape (None, 28/2/2/1)", None),
    ],
)
def test_the_essence_of_a_message_is_the_line_that_says_what_is_wrong(message, expected):
    assert probe.essence(message) == (message if expected is None else expected)


@pytest.fixture
def script(tmp_path):
    """A recipe of nine lines that can raise in two places."""
    path = tmp_path / "recipe.py"
    path.write_text(
        "def build(error):\n"
        "    inner(error)\n"
        "\n"
        "\n"
        "def inner(error):\n"
        "    raise error  # here\n"
        "\n"
        "\n"
        "    K.mean(log_var)  # of the message\n"
    )
    return path


def caught(script, error):
    """What the probe describes of an error that a recipe's `build` raises."""
    with pytest.raises(type(error)) as raised:
        probe.load(str(script)).build(error)
    return probe.describe(raised.value, str(script))


@pytest.fixture(autouse=True)
def no_recipe_module():
    """The probe imports a recipe as a module of this name."""
    yield
    sys.modules.pop("recipe", None)


def test_an_error_is_described_by_the_innermost_line_of_the_recipe(script):
    assert caught(script, ValueError("\x1b[1mBad.\x1b[0m")) == {
        "type": "ValueError",
        "message": "Bad.",
        "line": 6,
        "source": "raise error  # here",
    }


@pytest.mark.parametrize("message", [TENSORFLOW_2_4, TENSORFLOW_2_8])
def test_a_line_that_only_autographs_message_tells_is_preferred(script, message):
    described = caught(script, TypeError(message))
    assert described["line"] == 9
    assert described["source"] == "K.mean(log_var)  # of the message"


def test_a_line_that_the_script_does_not_have_is_no_reason_to_die(script):
    described = caught(script, TypeError('in user code:\n File "/other/recipe.py", line 99, in f'))
    assert (described["line"], described["source"]) == (99, "")


def test_an_error_that_is_not_of_the_recipe_has_no_line(script):
    described = probe.describe(KeyError("x"), str(script))
    assert described == {"type": "KeyError", "message": "'x'", "line": None}


@pytest.mark.parametrize(
    ("history", "losses"),
    [
        ({"loss": [2, 1]}, [2.0, 1.0]),
        ({"loss": [0.0], "total_loss": [2.0], "kl_loss": [1.0]}, [2.0]),
        ({"kl_loss": [1.0]}, []),
        ({}, []),
    ],
)
def test_the_total_loss_is_what_a_recipe_reports(history, losses):
    assert probe.reported(history) == losses


def test_noise_is_the_same_wherever_a_recipe_draws_it_until_it_is_given_back():
    draw = object()
    tensorflow = types.SimpleNamespace(
        random=types.SimpleNamespace(normal=draw), constant=lambda array: array
    )
    keras = types.SimpleNamespace(backend=types.SimpleNamespace(random_normal=draw))
    noise = np.ones((1, 16))
    restore = probe.fix_noise(tensorflow, keras, noise)
    assert tensorflow.random.normal((3, 16)) is noise
    assert keras.backend.random_normal(shape=(3, 16)) is noise
    restore()
    assert tensorflow.random.normal is draw
    assert keras.backend.random_normal is draw


def test_a_group_of_arrays_is_named_without_its_kind():
    arrays = {"weight:mu/bias": 1, "gradient:mu/bias": 2, "weight:mu/kernel": 3}
    assert probe.group(arrays, "weight") == {"mu/bias": 1, "mu/kernel": 3}


def imported(path):
    """The packages that a file imports anywhere."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


FRAMEWORKS = {"numpy", "tensorflow", "keras"}


@pytest.mark.parametrize(
    "path",
    [PROBE, *(script.path for script in SCRIPTS)],
    ids=lambda path: path.stem if path == PROBE else f"{path.parent.name}-{path.stem}",
)
def test_what_runs_in_an_old_environment_needs_nothing_that_it_lacks(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    assert imported(path) <= FRAMEWORKS | sys.stdlib_module_names


def test_the_probe_is_imported_without_a_framework():
    """Or a broken one could not be told from a recipe that fails."""
    code = (
        f"import sys; sys.path.insert(0, {str(PROBE.parent)!r}); import probe; "
        "print(sorted({'tensorflow', 'keras', 'jax', 'torch', 'kelbo'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# A recipe for a framework that has one layer, whose loss is half the squared sum of its weights,
# times `AMPLIFIED`: a step of gradient descent is easily written down.
QUADRATIC = """
import types

import numpy as np
from tensorflow import keras

AMPLIFIED = 1.0


class Layer:
    name = "mu"

    def set_weights(self, weights):
        self.weights = weights

    def get_weights(self):
        return self.weights


def build(optimizer):
    layer = Layer()
    layer.set_weights([np.ones(2, "float32"), np.ones(2, "float32")])
    part = types.SimpleNamespace(layers=[layer])
    layer.optimizer = optimizer
    return part, types.SimpleNamespace(layers=[]), layer


def train(model, images, epochs, batch_size):
    rate = 0.1 if model.optimizer == "adam" else model.optimizer.learning_rate
    losses = []
    for _ in range(epochs):
        losses.append(AMPLIFIED * 0.5 * sum(np.sum(w ** 2) for w in model.weights))
        model.weights = [w - rate * AMPLIFIED * w for w in model.weights]
    return types.SimpleNamespace(history={"loss": losses})
"""


@pytest.fixture
def framework(monkeypatch):
    """A TensorFlow that has next to nothing."""
    keras = types.SimpleNamespace(
        optimizers=types.SimpleNamespace(get=lambda sgd: types.SimpleNamespace(**sgd["config"])),
        backend=types.SimpleNamespace(random_normal=None),
        utils=types.SimpleNamespace(set_random_seed=np.random.seed),
        __version__="2.8.0",
    )
    tensorflow = types.SimpleNamespace(
        keras=keras,
        random=types.SimpleNamespace(normal=None),
        executing_eagerly=lambda: True,
        debugging=types.SimpleNamespace(),
        __version__="2.8.4",
    )
    for module in ("keras", "tf_keras"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)


@pytest.fixture
def tried(tmp_path, framework):
    """Try a recipe's source and read what was written down."""
    weights = {"weight:mu/kernel": np.array([0.5, -2.0]), "weight:mu/bias": np.array([1.0, 3.0])}
    parity = {name: array.astype("float32") for name, array in weights.items()}
    for name in ("mu/kernel", "mu/bias"):
        parity[f"gradient:{name}"] = parity[f"weight:{name}"]
        parity[f"plain:{name}"] = 0.25 * parity[f"weight:{name}"]
    parity |= {"noise": np.zeros((1, 16)), "loss": np.asarray(7.125)}
    parity |= {"images": np.zeros((2, 28, 28, 1)), "train_images": np.zeros((4, 28, 28, 1))}

    def run(source, mode="on"):
        (tmp_path / "recipe.py").write_text(source)
        np.savez(tmp_path / "parity.npz", **parity)
        paths = [str(tmp_path / name) for name in ("recipe.py", "parity.npz", "result.json")]
        probe.main(paths[0], paths[1], mode, paths[2])
        assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [
            ".json",
            ".npz",
            ".py",
        ]
        return json.loads((tmp_path / "result.json").read_text())

    return run


def test_the_gradient_is_what_one_training_step_did_to_the_weights(tried):
    result = tried(QUADRATIC)
    assert result["stage"] == "done"
    assert result["parity"] == {
        "gradient_error": pytest.approx(0.0, abs=1e-6),
        "worst_weight": "mu/kernel",
        "kl_share": pytest.approx(1.0),
        "kl_error": pytest.approx(0.0, abs=1e-6),
        "loss": 7.125,
        "reference_loss": 7.125,
        "reported": ["loss"],
    }
    assert result["losses"] == pytest.approx([2.0, 2.0 * 0.81, 2.0 * 0.81**2])
    assert result["versions"]["keras"] == "2.8.0"
    assert result["versions"]["tensorflow"] == "2.8.4"


def test_a_gradient_that_counts_thirty_two_times_is_seen_in_the_step(tried):
    parity = tried(QUADRATIC.replace("AMPLIFIED = 1.0", "AMPLIFIED = 32.0"))["parity"]
    assert parity["gradient_error"] == pytest.approx(31.0)
    assert parity["loss"] == pytest.approx(32 * 7.125)
    # The KL's part is 3/4 here: 32 = 1/4 + share * 3/4.
    assert parity["kl_share"] == pytest.approx(31.75 / 0.75)


@pytest.mark.parametrize(
    ("source", "stage", "kind"),
    [
        ("def build(:", "import", "SyntaxError"),
        ("raise OSError('x')", "import", "OSError"),
        (QUADRATIC.replace("def build", "def other"), "build", "AttributeError"),
        (QUADRATIC.replace('name = "mu"', 'name = "dense"'), "build", "LookupError"),
        (QUADRATIC.replace("losses = []", "raise ValueError"), "train", "ValueError"),
        (
            QUADRATIC.replace("losses = []", "losses = [1 / (epochs == 1)]"),
            "training",
            "ZeroDivisionError",
        ),
        (
            QUADRATIC.replace("layer = Layer()", "layer = {True: Layer}[optimizer != 'adam']()"),
            "build for training",
            "KeyError",
        ),
    ],
)
def test_the_stage_says_where_a_recipe_raised(tried, source, stage, kind):
    result = tried(source)
    assert (result["stage"], result["error"]["type"]) == (stage, kind)


def test_a_framework_that_cannot_be_imported_is_the_environments_fault(tried, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    result = tried(QUADRATIC)
    assert result["stage"] == "environment"
    assert result["error"]["type"] == "ModuleNotFoundError"


def test_the_noise_is_the_frameworks_own_again_after_a_failure(tried):
    tried(QUADRATIC.replace("losses = []", "raise ValueError"))
    assert sys.modules["tensorflow"].random.normal is None
