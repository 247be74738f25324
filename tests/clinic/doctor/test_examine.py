"""What holds for every script, whatever is in it."""

import ast
import random
import sysconfig
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.doctor import Source, all_rules, examine, load, read_stream, select
from kelbo.clinic.doctor.interpreter import read
from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.errors import UsageError
from tests.clinic.doctor.fixtures import FIXTURES

TEXTS = [fixture.text for fixture in FIXTURES]
RECIPES = [script for recipe in CATALOGUE.values() for script in recipe.scripts]


def findings(text):
    source = read_script("script.py", text.encode(errors="replace"))
    return examine(source) if isinstance(source, Source) else []


def codes(text):
    return [finding.rule.code for finding in findings(text)]


ATTACHED = {
    "1-loss-closure": {"KLB101"},
    "2-loss-layer": {"KLB102", "KLB105"},
    "3-add-loss-kl": {"KLB104"},
    "4-add-loss-total": {"KLB104"},
}


@pytest.mark.parametrize("script", RECIPES, ids=lambda script: script.name)
def test_of_the_catalogue_the_recipes_1_to_4_are_in_error_and_no_repair_is(script):
    found = examine(load(str(script.path)))
    errors = {finding.rule.code for finding in found if finding.rule.severity == "error"}
    assert errors == (ATTACHED.get(script.recipe, set()) if script.kind == "recipe" else set())


def test_the_effective_beta_of_the_article_is_read_off_each_spelling_of_its_loss():
    """All but 7, where two losses make the KL term, and the repair of 1, which slices."""
    for script in RECIPES:
        found = examine(load(str(script.path)), select(["KLB201"]))
        silent = script.recipe in ("0-autoencoder", "7-tensor-transfer")
        silent |= script.name == "1-loss-closure, repaired"
        assert len(found) == (not silent), script.name
        assert all("effective beta is 0.0049" in finding.happens for finding in found)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_healthy_and_mended_scripts_have_no_error(fixture):
    if fixture.path.parent.name == "healthy" or fixture.path.stem.endswith("healthy"):
        assert not findings(fixture.text)


@given(
    text=st.sampled_from(TEXTS),
    cuts=st.lists(st.tuples(st.integers(0, 80), st.integers(1, 5)), max_size=4),
)
def test_a_script_with_lines_cut_out_never_raises(text, cuts):
    lines = text.splitlines()
    for start, count in cuts:
        del lines[start : start + count]
    findings("\n".join(lines))


@given(
    text=st.sampled_from(TEXTS),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.0, 0.3),
)
def test_a_script_with_its_names_mixed_up_never_raises(text, seed, share):
    tree = ast.parse(text)
    chance = random.Random(seed)
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    for node in named:
        if chance.random() < share:
            node.id = chance.choice(named).id
    findings(ast.unparse(tree))


@given(
    text=st.sampled_from([fixture.text for fixture in FIXTURES if fixture.expected]),
    new=st.sampled_from(["q", "z_mean", "a_b_c"]),
)
def test_renaming_a_tensor_changes_no_error(text, new):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for field in ("id", "arg"):
            if getattr(node, field, None) == "mu":
                setattr(node, field, new)
    errors = sorted(f.rule.code for f in findings(text) if f.rule.severity == "error")
    renamed = findings(ast.unparse(tree))
    assert errors == sorted(f.rule.code for f in renamed if f.rule.severity == "error")


@given(st.text() | st.text("()[]{}:=.,+-*/ \n\tabk_1'\"#@\\", max_size=200))
def test_any_text_is_read_or_skipped(text):
    findings(text)


def test_installed_packages_are_read_without_an_exception():
    """A sample of them, the same each time; and no error is found in them."""
    files = sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))
    chance = random.Random(0)
    sample = [path for path in chance.sample(files, 100) if path.stat().st_size < 40_000]
    for path in sample:
        source = load(str(path))
        if isinstance(source, Source):
            read(source.tree)
            assert not [f for f in examine(source) if f.rule.severity == "error"], path


STRAIGHT = "import keras\nx = keras.Input((4,))\n"
PIECES = {
    "layers": "x = keras.layers.Dense(4)(x)\n",
    "branches": "if x:\n    y = x\nelse:\n    y = 1\n",
    "functions": "def f(a):\n    return f(g(a)) + h(a)\nx = f(f(x))\n",
    "classes": "class L(keras.layers.Layer):\n    def call(self, a):\n        return a + x\n",
    "sums": "x = x + x * x\n",
    "lists": "x = [x, x]\n",
    "attributes": "x = x.a\n",
    "indices": "x = x[0]\n",
    "closures": "def f():\n    def f():\n        return f\n    return f()\nf()\n",
    "strings": "x = 'keras' * 9**9 ** 9\n",
    "options": "x = [x] if x else (x,)\n",
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_the_work_grows_with_the_length_of_a_script(piece):
    """Counted, not timed: pieces of syntax that are looked at."""
    short, long = (read(ast.parse(STRAIGHT + piece * n)).visits for n in (100, 400))
    assert long < 4.5 * short


NESTED = {
    "calls": "f(" * 80 + "x" + ")" * 80,
    "sums": "x + " * 5000 + "x",
    "brackets": "[" * 90 + "]" * 90,
    "attributes": "x" + ".a" * 900,
    "elif": "if x: pass\n" + "elif x: pass\n" * 900,
    "too deep for Python": "(" * 9999 + ")" * 9999,
    "lambdas": "lambda: " * 90 + "x",
    "comparisons": "not " * 90 + "x",
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_deep_nesting_is_no_trouble(text):
    findings("import keras\n" + text)


RECURSIVE = """
import keras

def even(x):
    return odd(x)

def odd(x):
    return even(x) + odd(x)

class Layer(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = Layer()

    def call(self, x):
        return self.inner(self(x))

class A(B): pass
class B(A): pass
x = keras.Input((2,))
even(x)
Layer()(x)
"""


def visits(text):
    return read(ast.parse(f"import keras\n{text}")).visits


BODY = "    y = x + 1\n" * 50
LONG = f"def f(x):\n{BODY}    return y\n"
CALLS_ITSELF = {
    "twice": f"def f(x):\n{BODY}    return f(x) + f(x)\nf(1)\n",
    "by another": f"def f(x):\n{BODY}    return g(x)\ndef g(x):\n    return f(x) + f(x)\nf(1)\n",
}


@pytest.mark.parametrize("text", CALLS_ITSELF.values(), ids=CALLS_ITSELF)
def test_what_calls_itself_is_followed_once(text):
    once = visits(f"{LONG}f(1)\n")
    assert once > 200 and visits(text) < 1.1 * once


def test_what_makes_itself_is_no_trouble():
    findings(RECURSIVE)


def test_a_function_is_followed_three_times_whoever_calls_it():
    counts = [visits(LONG + "f(1)\n" * n) for n in range(1, 9)]
    assert [later - former > 200 for former, later in pairwise(counts)] == [True] * 2 + [False] * 5


def test_noqa_turns_rules_off_on_their_lines():
    text = next(f for f in FIXTURES if f.path.stem == "KLB104-broken").text
    assert codes(text) == ["KLB104"]
    assert codes(text.replace("# KLB104", "# noqa")) == []
    assert codes(text.replace("# KLB104", "# noqa: KLB104")) == []
    assert codes(text.replace("# KLB104", "# noqa: E501, KLB104")) == []
    assert codes(text.replace("# KLB104", "# NOQA:KLB104 on purpose")) == []
    assert codes(text.replace("# KLB104", "# noqa: KLB101")) == ["KLB104"]


def test_rules_are_chosen_by_the_beginnings_of_their_codes():
    every = {rule.code for rule in all_rules()}
    assert {rule.code for rule in select()} == every
    assert {rule.code for rule in select(["KLB1"])} == {c for c in every if c[3] == "1"}
    assert {rule.code for rule in select(["klb1"], ["KLB101"])} == {
        c for c in every if c[3] == "1" and c != "KLB101"
    }
    with pytest.raises(UsageError, match="KLB101"):
        select(["KLB110"])


def test_a_stream_is_a_script(tmp_path):
    text = next(f for f in FIXTURES if f.path.stem == "KLB104-broken").text
    path = tmp_path / "script.py"
    path.write_text(text)
    with path.open("rb") as stream:
        assert [f.rule.code for f in examine(read_stream(stream))] == ["KLB104"]


BETA = """
import tensorflow as tf
from tensorflow import keras

class KLTerm(keras.layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        kl = 1 + log_var - tf.square(mu) - tf.exp(log_var)
        self.add_loss({kl})
        return mu + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mu))

image = keras.Input({shape})
flat = keras.layers.Flatten()(image)
mu, log_var = keras.layers.Dense({latent})(flat), keras.layers.Dense({latent})(flat)
hidden = keras.layers.Dense(784, activation="sigmoid")(KLTerm()([mu, log_var]))
vae = keras.Model(image, keras.layers.Reshape({shape})(hidden))
vae.compile("adam", loss={loss})
vae.fit(x, x)
"""
SUM = "-0.5 * tf.reduce_mean(tf.reduce_sum(kl, axis=-1))"
MEAN = "-0.5 * tf.reduce_mean(kl)"


@pytest.mark.parametrize(
    ("kl", "shape", "latent", "loss", "beta"),
    [
        # The four rows of the table of docs/kl-loss.md; a squared error is half a nat.
        (SUM, (784,), 16, '"binary_crossentropy"', "784"),
        (MEAN, (784,), 16, '"binary_crossentropy"', "49"),
        (SUM, (28, 28), 16, "keras.losses.BinaryCrossentropy()", "784"),
        (f"1e-4 * {MEAN} / 0.5", (28, 28, 1), 16, '"binary_crossentropy"', "0.0098"),
        (MEAN, (784,), 32, '"mse"', "12.25"),
        (f"{SUM} / 784", (28, 28), 10, '"mse"', None),  # the ELBO of a Gaussian of variance 1/2
        (f"{SUM} / 1000", (28, 28, 1), 2, '"mse"', "0.392"),
        (f"{SUM} / 784", (784,), 16, '"binary_crossentropy"', None),
        (f"{SUM} / 392", (784,), 16, '"mse"', None),
    ],
)
def test_the_accidental_betas_of_the_field(kl, shape, latent, loss, beta):
    """Keras's subclassing guide, Hands-On Machine Learning and Generative Deep Learning."""
    script = BETA.format(kl=kl, shape=shape, latent=latent, loss=loss)
    found = [f.happens for f in findings(script) if f.rule.code == "KLB201"]
    assert len(found) == (beta is not None)
    assert all(f"effective beta is {beta}. " in happens for happens in found)


@pytest.mark.parametrize(
    ("kl", "latent", "loss", "beta"),
    [
        (SUM, 16, '"binary_crossentropy"', "D"),
        (SUM, 16, '"mse"', "0.5 D"),
        (f"2 * {MEAN}", 16, '"binary_crossentropy"', "0.125 D"),
        (f"2 * {MEAN}", "args.latent", '"binary_crossentropy"', "2 D / d"),
        (f"x.shape[1] * {SUM}", 16, '"mse"', None),
        # Divided by what may be the number of pixels.
        (f"{SUM} / 784", 16, '"binary_crossentropy"', None),
        (f"{MEAN} / 784", "args.latent", '"binary_crossentropy"', None),
        (SUM, "args.latent", '"binary_crossentropy"', None),
    ],
)
def test_the_accidental_beta_where_a_size_is_not_written_down(kl, latent, loss, beta):
    script = BETA.format(kl=kl, shape="(x.shape[1],)", latent=latent, loss=loss)
    found = [f.happens for f in findings(script) if f.rule.code == "KLB201"]
    assert len(found) == (beta is not None)
    assert all(f"effective beta is {beta}, with D" in happens for happens in found)


def test_the_number_of_pixels_is_not_taken_from_another_input():
    script = BETA.format(kl=f"{SUM} / 784", shape="(x.shape[1],)", latent=2, loss='"mse"')
    assert codes(f"{script}\nkeras.Input((2,))\n") == []


COMPUTE_LOSS = """\
import keras
from keras import layers, ops


class Sampling(layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        return mu + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mu))


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.sampling = Sampling()

    def call(self, x):
        mu, v = self.encoder(x)
        return self.decoder(self.sampling([mu, v])), mu, v

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        decoded, mu, v = y_pred
        bce = ops.sum(keras.losses.binary_crossentropy(x, decoded), axis=(1, 2))
        return ops.mean(bce - 0.5 * ops.sum(1 + v - ops.square(mu) - ops.exp(v), axis=-1))


x = keras.Input((28, 28, 1))
h = layers.Flatten()(x)
encoder = keras.Model(x, [layers.Dense(8)(h), layers.Dense(8)(h)])
z = keras.Input((8,))
decoded = layers.Reshape((28, 28, 1))(layers.Dense(784, activation="sigmoid")(z))
vae = VAE(encoder, keras.Model(z, decoded))
vae.compile("adam")
(images, _), _ = keras.datasets.mnist.load_data()
vae.fit(images[..., None] / 255.0, epochs=3)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("", "", None),
        ("exp(0.5 * log_var)", "exp(log_var)", "KLB204"),
        ("[layers.Dense(8)(h), layers.Dense(8)(h)]",
         "[layers.Dense(8)(h), layers.Dense(8, 'relu')(h)]", "KLB313"),
        (" / 255.0", "", "KLB213"),
    ],
)  # fmt: skip
def test_what_call_returns_is_what_compute_loss_gets(right, wrong, code):
    text = COMPUTE_LOSS.replace(right, wrong) if right else COMPUTE_LOSS
    found = set(codes(text)) - {"KLB404"}
    assert found == ({code} if code else set())
