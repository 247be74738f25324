"""What Keras 3 is said to refuse it refuses, and a script's own methods are its own affair."""

import keras
import numpy as np
import pytest

from kelbo.clinic.doctor import examine, select
from kelbo.clinic.doctor.rules.gone_arguments import (
    METHODS,
    OF_LAYERS,
    OF_METHODS,
    OF_MODELS,
    OF_OPTIMIZERS,
)
from kelbo.clinic.doctor.source import read_script

# What a layer is made of.
GIVEN = {"BatchNormalization": (), "Embedding": (2, 2), "MaxPooling2D": (), "AveragePooling2D": ()}
GIVEN |= {"UpSampling2D": (), "ZeroPadding2D": (), "Dropout": (0.5,), "GaussianDropout": (0.5,)}
GIVEN |= {"Conv1D": (2, 1), "Conv2D": (2, 1), "Conv2DTranspose": (2, 1), "GaussianNoise": (0.1,)}


@pytest.mark.parametrize(
    ("layer", "argument"), [(layer, name) for layer, gone in OF_LAYERS.items() for name in gone]
)
def test_a_layer_refuses_what_is_gone_and_takes_what_there_is(layer, argument):
    made, given = getattr(keras.layers, layer), GIVEN.get(layer, (2,))
    with pytest.raises((TypeError, ValueError)):
        made(*given, **{argument: 1})
    instead = OF_LAYERS[layer][argument]
    assert not instead or instead in made.__init__.__code__.co_varnames


def test_optimizers_and_methods_refuse_what_is_gone():
    with pytest.raises(ValueError, match="not recognized"):
        keras.optimizers.Adam(lr=0.1)
    with pytest.warns(UserWarning, match="will be ignored"):
        keras.optimizers.Adam(decay=0.1)
    assert set(OF_OPTIMIZERS) == {"lr", "decay"}
    model = keras.Sequential([keras.layers.Dense(1)])
    for method in METHODS:
        assert not hasattr(model, method)
    with pytest.raises(TypeError, match="inputs"):
        model.layers[0].add_loss(0.0, inputs=0.0)
    for name in OF_METHODS["fit"]:
        with pytest.raises(TypeError, match=name):
            model.fit(np.zeros((2, 1)), **{name: 1})
    for name in OF_METHODS["compile"]:
        with pytest.raises(TypeError, match=name):
            model.compile("sgd", "mse", **{name: None})
    with pytest.raises(TypeError, match="save_format"):
        model.save_weights("vae.weights.h5", save_format="h5")
    assert set(OF_METHODS) == {"add_loss", "compile", "fit", "save_weights"}
    assert set(OF_METHODS["add_loss"]) == {"inputs"}
    assert set(OF_METHODS["save_weights"]) == {"save_format"}
    x = keras.Input((1,))
    keras.Model(inputs=x, outputs=x)
    with pytest.raises((TypeError, ValueError)):
        keras.Model(input=x, output=x)
    assert OF_MODELS == {"input": "inputs", "output": "outputs"}


def model():
    made = keras.Sequential([keras.layers.Dense(1)])
    made.build((None, 1))
    return made


CALLS = [
    ("save('{}/vae')", False),
    ("save('{}/vae.keras')", True),
    ("save('{}/vae.h5')", True),
    ("save('{}/vae.hdf5')", True),
    ("save_weights('{}/vae')", False),
    ("save_weights('{}/vae.h5')", False),
    ("save_weights('{}/vae.weights.h5')", True),
    ("save('{}/vae', save_format='tf')", False),
    ("save('{}/vae', save_format='h5')", False),
    ("save('{}/vae.h5', save_format='h5')", True),
]
CHECKPOINTS = [
    ("'w.h5', save_weights_only=True", False),
    ("'w.weights.h5', save_weights_only=True", True),
    ("'w.ckpt'", False),
    ("'w.keras'", True),
    ("'w.h5'", True),
]
HEAD = "import keras\nmodel = keras.Sequential([keras.layers.Dense(1)])\n"


def findings(script):
    found = examine(read_script("script.py", (HEAD + script).encode()), select(["KLB405"]))
    return [(finding.happens, finding.repair) for finding in found]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("call", "taken"), CALLS)
def test_a_file_is_refused_where_keras_refuses_it(call, taken, tmp_path):
    call = call.format(tmp_path)
    assert not findings(f"model.{call}") == taken
    if taken:
        eval(f"made.{call}", {"made": model()})
    else:
        with pytest.raises(ValueError, match=r"must end in|Invalid filepath extension|save_format"):
            eval(f"made.{call}", {"made": model()})


@pytest.mark.parametrize(("arguments", "taken"), CHECKPOINTS)
def test_a_checkpoint_is_refused_where_keras_refuses_it(arguments, taken):
    call = f"keras.callbacks.ModelCheckpoint({arguments})"
    assert not findings(call) == taken
    if taken:
        eval(call)
    else:
        with pytest.raises(ValueError, match="must end in"):
            eval(call)


@pytest.mark.parametrize(
    ("script", "happens", "repair"),
    [
        (
            "model.compile(keras.optimizers.Adam(lr=0.1, decay=1e-6))",
            "keras.optimizers.Adam takes no lr and decay in Keras 3.",
            "In place of lr take learning_rate; in place of decay take a schedule, "
            "keras.optimizers.schedules.InverseTimeDecay, as the learning_rate.",
        ),
        (
            "model.save_weights('out/w.h5')",
            "model.save_weights writes to 'out/w.h5', but Keras 3 asks for a name that ends in "
            ".weights.h5.",
            "Write 'out/w.weights.h5'.",
        ),
        (
            "model.save('vae')",
            "model.save writes to 'vae', but Keras 3 asks for a name that ends in .keras or .h5 or "
            ".hdf5.",
            "Write 'vae.keras'; or model.export for a SavedModel.",
        ),
        (
            "keras.layers.BatchNormalization(fused=True)",
            "keras.layers.BatchNormalization takes no fused in Keras 3.",
            "Leave fused out.",
        ),
        (
            "model.save_weights('w.weights.h5', save_format='h5')",
            "model.save_weights takes no save_format in Keras 3.",
            "In place of save_format take a file name that ends in .weights.h5.",
        ),
        ("model.fit_generator(x)", "A model of Keras 3 has no fit_generator.", "Take fit."),
    ],
)
def test_it_says_what_to_write(script, happens, repair):
    assert findings(script) == [(happens, repair)]


@pytest.mark.parametrize(
    "script",
    [
        "keras.optimizers.Adam(learning_rate=0.1, decay=0.0)",
        "keras.optimizers.Adam(0.1)",
        "model.save(name)",
        "model.save(f'{name}.keras')",
        "model.save('vae', zipped=False)",
        "other.fit_generator(x)",
        "other.save('vae')",
        "class Net(keras.Model):\n    def fit_generator(self, x): ...\nNet().fit_generator(x)",
        "from mixins import Generators\nclass Net(Generators, keras.Model): ...\n"
        "Net().fit_generator(x)",
        "try:\n    model.fit_generator(x)\nexcept AttributeError:\n    model.fit(x)",
        "import tf_keras\nmodel.fit_generator(x)",
        "keras.layers.Embedding(output_dim=2, input_dim=3)",
    ],
)
def test_nothing_is_said_of_what_may_well_be_there(script):
    assert not findings(script)
