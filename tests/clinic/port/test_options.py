import pytest

from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port import port

HEAD = "import numpy as np\nimport keras\nfrom keras import layers, ops\nshape = (None, 2, 3)\n"


def ported(code):
    return port(read_script("script.py", f"{HEAD}{code}\n".encode())).text.removeprefix(HEAD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("layers.LeakyReLU(alpha=0.2)", "layers.LeakyReLU(negative_slope=0.2)"),
        # Keras 3 takes no integer of NumPy.
        ("layers.Dense(np.prod(shape[1:]))", "layers.Dense(int(np.prod(shape[1:])))"),
        ("n = np.prod(shape[1:])\nlayers.Dense(n)", "n = np.prod(shape[1:])\nlayers.Dense(int(n))"),
        ("layers.Dense(units=6)", "layers.Dense(units=6)"),
        (
            "layers.Dense(output_dim=6, init='normal')",
            "layers.Dense(units=6, kernel_initializer='normal')",
        ),
        ("layers.Embedding(9, output_dim=6)", "layers.Embedding(9, output_dim=6)"),
        (
            "i = keras.Input((2,))\nm = keras.Model(input=i, output=i)",
            "i = keras.Input((2,))\nm = keras.Model(inputs=i, outputs=i)",
        ),
        (
            "i = keras.Input((2,))\nm = keras.Model(i, i)\nm(x).numpy()",
            "i = keras.Input((2,))\nm = keras.Model(i, i)\nops.convert_to_numpy(m(x))",
        ),
        ("x.numpy()", "x.numpy()"),
        (
            "i = keras.Input((2,))\ni.get_shape().as_list()\ni.get_shape()[1]",
            "i = keras.Input((2,))\nlist(i.shape)\ni.shape[1]",
        ),
        ("i = keras.Input((2,))\ni.shape.as_list()", "i = keras.Input((2,))\nlist(i.shape)"),
    ],
)
def test_names_of_today(before, after):
    assert ported(before) == f"{after}\n"


def test_a_layer_adds_its_loss_without_its_inputs():
    text = (
        "class Own(layers.Layer):\n    def call(self, x):\n"
        "        self.add_loss(keras.ops.mean(x), inputs=x)\n        return x\n"
    )
    assert ported(text) == text.replace(", inputs=x", "") + "\n"


def test_an_input_that_holds_numbers_is_left():
    assert "# kelbo port: left as it was: an Input" in ported("n = keras.Input(tensor=x)\n")
