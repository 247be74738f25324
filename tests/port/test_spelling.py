import pytest

from kelbo.doctor.source import read_script
from kelbo.port import port
from kelbo.port.spelling import port_imports


def ported(text):
    return port(read_script("script.py", text.encode())).text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from tensorflow import keras\nkeras.Input\n", "import keras\nkeras.Input\n"),
        ("import tensorflow.keras as keras\nkeras.Input\n", "import keras\nkeras.Input\n"),
        ("import tensorflow.keras.layers as L\nL\n", "import keras.layers as L\nL\n"),
        ("from tensorflow.keras.layers import A, B\nA\n", "from keras.layers import A\nA\n"),
        ("from tensorflow.keras.layers import *\n", "from keras.layers import *\n"),
        ("from tensorflow.keras import layers, backend as K\nlayers, ops\n",
         "from keras import layers, ops\nlayers, ops\n"),
        ("import numpy as np\nimport tensorflow as tf\nnp, keras, ops\n",
         "import keras\nfrom keras import ops\nimport numpy as np\nnp, keras, ops\n"),
        ("import tensorflow as tf\ntf.data\n", "import tensorflow as tf\ntf.data\n"),
        ("from keras import layers\n", "from keras import layers\n"),  # used or not
        ("from __future__ import division\nops\n",
         "from __future__ import division\nfrom keras import ops\nops\n"),
        ("from tensorflow.keras.losses import mse, MAE as m\nmse, m\n",
         "from keras.losses import mean_squared_error as mse, mean_absolute_error as m\nmse, m\n"),
        ("import os, tensorflow as tf  # both\nos\n", "import os  # both\nos\n"),
    ],
)  # fmt: skip
def test_imports(before, after):
    assert port_imports(before, before) == after


HEAD = "import tensorflow as tf\nfrom tensorflow.keras import backend as K\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("K.mean(x, axis=[1, 2])", "ops.mean(x, axis=(1, 2))"),
        ("K.sum(x, keepdims=True)", "ops.sum(x, keepdims=True)"),
        ("tf.reduce_sum(tf.square(x), axis=-1)", "ops.sum(ops.square(x), axis=-1)"),
        ("tf.math.log(x)", "ops.log(x)"),
        ("K.flatten(x)", "ops.reshape(x, (-1,))"),
        ("K.int_shape(x)[1]", "x.shape[1]"),
        ("tf.keras.losses.mse(x, x)", "keras.losses.mean_squared_error(x, x)"),
        ("x + K.epsilon()", "x + K.epsilon()"),  # Keras 3 still has it
        (
            "tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=x)",
            "ops.binary_crossentropy(target=x, output=x, from_logits=True)",
        ),
    ],
)
def test_names_in_what_a_layer_computes(before, after):
    body = "class Own(tf.keras.layers.Layer):\n    def call(self, x):\n        return "
    assert ported(HEAD + body + before + "\n").endswith(
        f"class Own(keras.layers.Layer):\n    def call(self, x):\n        return {after}\n"
    )


def test_tensorflow_stays_where_data_are_made():
    text = "import tensorflow as tf\nx = tf.reduce_mean(tf.constant([1.0]))\n"
    assert ported(text) == text


def test_another_ops_is_not_shadowed():
    text = HEAD + "ops = 3\nprint(K.square(2.0), ops)\n"
    assert ported(text).endswith("ops = 3\nprint(keras.ops.square(2.0), ops)\n")


def test_eager_cures_and_old_options_go():
    text = (
        "import tensorflow as tf\nfrom tensorflow import keras\n"
        "tf.compat.v1.disable_eager_execution()  # a cure\n"
        "layer = keras.layers.LeakyReLU(alpha=0.2)\n"
        "adam = keras.optimizers.Adam(lr=0.1)\n"
    )
    assert ported(text) == (
        "import keras\nlayer = keras.layers.LeakyReLU(negative_slope=0.2)\n"
        "adam = keras.optimizers.Adam(learning_rate=0.1)\n"
    )


def test_files_of_weights_end_as_keras_3_wants_them():
    text = "import keras\nmodel = keras.Sequential()\n"
    lines = 'model.save_weights("a.h5")\nmodel.load_weights("a.h5")\nmodel.load_weights("b.h5")\n'
    assert ported(text + lines) == text + lines.replace("a.h5", "a.weights.h5")
    assert "# kelbo port: left" in ported(text + 'name = "a"\nmodel.save_weights(name)\n')


def test_a_layer_adds_its_loss_without_its_inputs():
    text = (
        "import keras\nclass Own(keras.layers.Layer):\n    def call(self, x):\n"
        "        self.add_loss(keras.ops.mean(x), inputs=x)\n        return x\n"
    )
    assert ported(text) == text.replace(", inputs=x", "")


def test_an_input_that_holds_numbers_is_left():
    text = "import keras\nfrom keras import backend as K\n"
    assert "# kelbo port: left as it was: an Input" in ported(
        text + "noise = keras.Input(tensor=K.random_normal((8, 2)))\n"
    )
