import textwrap

import keras
import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port

HEAD = """\
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K
mu = keras.Input((2,))
log_var = keras.Input((2,))
"""


def ported(text):
    return port(read_script("script.py", (HEAD + text).encode()))


def test_a_lambda_expression_becomes_a_layer():
    result = ported(
        "z = keras.layers.Lambda(\n"
        "    lambda p: p[0] + K.exp(p[1] / 2) * K.random_normal(K.shape(p[0])),\n"
        '    name="z",\n'
        ")([mu, log_var])\n"
    )
    assert 'z = Sampling(\n    name="z",\n)([mu, log_var])\n' in result.text
    assert "    def call(self, p):\n        return p[0] + ops.exp(p[1] / 2) * " in result.text
    drawn = "ops.shape(p[0]), dtype=self.compute_dtype, seed=self.seed_generator"
    assert f"* keras.random.normal(\n            {drawn}\n        )\n" in result.text


DRAWN = "z = keras.layers.Lambda(draw)([mu, log_var])\n"


@pytest.mark.parametrize(
    ("lines", "shape"),
    [
        ("m, l = p\n    e = K.random_normal(shape=(250, 2))\n    return m + K.exp(l) * e", "m"),
        ("e = K.random_normal((size, 2))\n    return p[0] + K.exp(p[1] / 2) * e", "p[0]"),
    ],
)
def test_noise_for_a_batch_of_a_fixed_size_gets_the_shape_of_mu(lines, shape):
    result = ported(f"size = 250\ndef draw(p):\n    {lines}\n\n{DRAWN}")
    assert not result.left
    text = " ".join(result.text.split()).replace("shape=", "").replace("( ", "(")
    assert f"keras.random.normal(ops.shape({shape}), dtype" in text


@pytest.mark.parametrize(
    ("shape", "lines"),
    [
        ("(1, 2)", "return p[0] + K.random_normal({})"),  # one noise for all
        ("(250, 1)", "return p[0] + K.random_normal({})"),
        ("(250, 2)", "e = K.random_normal({})\n    m, l = p\n    return m + e * l"),  # m is not yet
    ],
)
def test_noise_of_another_shape_keeps_it(shape, lines):
    result = ported(f"def draw(p):\n    {lines.format(shape)}\n\n{DRAWN}")
    assert f"keras.random.normal(\n            {shape}, " in result.text or (
        f"keras.random.normal({shape}, " in result.text
    )


def test_a_seed_stays_and_a_layer_with_a_start_keeps_it():
    result = ported(
        "class Sampling(keras.layers.Layer):\n"
        "    def __init__(self, scale, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
        "        self.scale = scale  # of the noise\n\n"
        "    def call(self, inputs):\n"
        "        noise = tf.random.normal(tf.shape(inputs), seed=7)\n"
        "        return inputs + self.scale * noise\n"
    )
    assert (
        "        self.scale = scale  # of the noise\n"
        "        self.seed_generator = keras.random.SeedGenerator(7)\n"
    ) in result.text
    options = "dtype=self.compute_dtype, seed=self.seed_generator"
    assert f"keras.random.normal({options})".replace("(d", "(ops.shape(inputs), d") in " ".join(
        result.text.split()
    ).replace("( ", "(").replace(" )", ")")
    assert '@keras.saving.register_keras_serializable(package="vae")\nclass Sampling' in result.text


@pytest.mark.parametrize(
    ("spelled", "today"),
    [
        ("K.random_normal", "normal"),
        ("K.random_uniform", "uniform"),
        ("tf.random.uniform", "uniform"),
        ("tf.random.truncated_normal", "truncated_normal"),
    ],
)
def test_noise_keeps_its_distribution(spelled, today):
    result = ported(f"z = keras.layers.Lambda(lambda p: p + {spelled}((2,)))(mu)\n")
    assert f"keras.random.{today}(" in result.text


def test_an_argument_with_a_default_stays():
    head = "def draw(p, scale=2.0):\n    return p + scale * K.random_normal(K.shape(p))\n\n\n"
    result = ported(f"{head}z = keras.layers.Lambda(draw)(mu)\n")
    assert not result.left and "    def call(self, p, scale=2.0):\n" in result.text
    result = ported(f"{head}z = keras.layers.Lambda(draw, arguments={{'scale': 1.0}})(mu)\n")
    assert "the Lambda's function has more than one argument" in result.left[0].reason


def test_a_function_that_is_used_elsewhere_is_left():
    result = ported(
        "def draw(p):\n    return p + K.random_normal(K.shape(p))\n\n"
        "z = keras.layers.Lambda(draw)(mu)\nprint(draw(mu))\n"
    )
    assert "draw is also used outside the Lambda" in " ".join(left.reason for left in result.left)
    assert "keras.layers.Lambda(draw)(mu)" in result.text


@pytest.mark.parametrize(
    "code",
    [
        "z = mu + K.exp(log_var / 2) * K.random_normal(K.shape(mu))\n",
        "eps = K.random_normal(K.shape(mu))\nz = mu + K.exp(log_var / 2) * eps\n",
        "eps = K.random_normal((8, 2))\nz = mu + K.exp(log_var / 2) * eps\n",
    ],
)
def test_noise_of_the_graph_is_left(code):
    result = ported(code)
    (left,) = result.left
    assert "drawn once" in left.reason


def test_noise_of_numbers_stays():
    assert not ported("eps = K.random_normal((8, 2))\nz = 2 * eps\n").left


CAPTURES = """\
from tensorflow import keras
from tensorflow.keras import backend as K
class Net:
    def __init__(self, n, latent):
        self.latent = latent
        x = keras.Input((n,))
        mu, log_var = keras.layers.Dense(latent)(x), keras.layers.Dense(latent)(x)
{function}
        self.model = keras.Model(x, z)
net = Net(8, 2)
"""
NOISE = "args[0] + K.exp(args[1] / 2) * K.random_normal(shape=(K.shape(args[0])[0], {}))"
NESTED = f"def sampling(args):\n    return {NOISE}\n"
MAKE = "z = keras.layers.Lambda(sampling)([mu, log_var])"


@pytest.mark.parametrize(
    ("function", "made"),
    [
        (NESTED.format("self.latent") + MAKE, "Sampling(latent=self.latent)"),
        (NESTED.format("latent") + MAKE, "Sampling(latent=latent)"),
        (NESTED.format("size") + "size = latent\n" + MAKE, "Sampling(size=size)"),
        (
            "def sampling(args):\n    def noise():\n        return K.random_normal(shape="
            "(K.shape(args[0])[0], self.latent))\n    return args[0] + noise()\n" + MAKE,
            "Sampling(latent=self.latent)",
        ),
        (
            "def draw():\n    "
            + NESTED.format("self.latent").replace("\n", "\n    ")
            + f"\n    {MAKE}\n    return z\nz = draw()",
            "Sampling(latent=self.latent)",
        ),
        (
            f"z = keras.layers.Lambda(lambda args: {NOISE.format('latent')})([mu, log_var])",
            "Sampling(latent=latent)",
        ),
        (
            "def width():\n    return latent\n"
            f"z = keras.layers.Lambda(lambda args: {NOISE.format('width()')})([mu, log_var])",
            "Sampling()",
        ),
    ],
)
def test_what_a_function_reads_around_it_is_an_argument_of_the_layer(function, made):
    text = CAPTURES.format(function=textwrap.indent(function, " " * 8))
    result = port(read_script("script.py", text.encode()))
    assert not result.left and made in result.text
    script = {}
    exec(result.text, script)
    layer = next(one for one in script["net"].model.layers if type(one).__name__ == "Sampling")
    again = type(layer).from_config(layer.get_config())
    z = again([keras.ops.ones((3, 2)), keras.ops.zeros((3, 2))])
    assert z.shape == (3, 2)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            NESTED.format("self.size()") + MAKE,
            "the Lambda's function calls self.size",
        ),
        (
            NESTED.format("size") + "layer = keras.layers.Lambda(sampling)\nsize = latent\n"
            "z = layer([mu, log_var])",
            "size, which the Lambda's function reads, gets its value in line 11",
        ),
    ],
)
def test_what_no_argument_can_hold_is_listed(function, reason):
    text = CAPTURES.format(function=textwrap.indent(function, " " * 8))
    result = port(read_script("script.py", text.encode()))
    assert any(reason in left.reason for left in result.left)
