"""What is read of a file is what its model is, and nothing of the file is run."""

import copy
import importlib
import io
import json
import sys
import warnings
import zipfile

import h5py
import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from keras import layers
from keras.src.saving.serialization_lib import SafeModeScope

import kelbo
from kelbo.errors import RunError
from kelbo.foreign import read_model
from tests.diagnosis.models import DIM, LATENT, SHAPE, Sampling, healthy_vae, images, make_decoder
from tests.foreign import models
from tests.test_loading import rewritten

SAME = ("kl", "kl_per_dimension", "activity", "active_units", "reconstruction", "nats_from_z")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "theirs.keras"


def save(model, path):
    """Save a model, in whatever state its author may have left it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are saving a model that has not yet been")
        model.save(path)
    return path


def entry(config, name):
    """The configuration of the layer of this name, wherever it is."""
    if isinstance(config, dict) and config.get("name") == name and "inbound_nodes" in config:
        return config
    inner = config.values() if isinstance(config, dict) else config
    found = (entry(value, name) for value in inner if isinstance(value, (dict, list)))
    return next((one for one in found if one), None)


@pytest.mark.parametrize(
    ("make", "likelihood", "left_out"),
    [
        (
            models.subclassed,
            "Bernoulli from probabilities, because the decoder ends in a sigmoid",
            "Sampling",
        ),
        (
            models.registered,
            "Bernoulli from probabilities, because the decoder ends in a sigmoid",
            "Sampling",
        ),
        (models.with_parts_of_every_kind, "Bernoulli from probabilities", "Sampling"),
        (models.nested, "Bernoulli from probabilities, because the loss is BinaryC", "AddKL"),
        (models.flat_lambda, "Bernoulli from probabilities, because the loss is bin", "z (Lambda)"),
        (models.flat_logits, "Bernoulli from logits", "z (Sampling)"),
        (models.flat_squared_error, "Gaussian of variance 1, because the loss is mse", "AddKL"),
        (models.loss_layer, "Bernoulli from probabilities", "(AddLoss)"),
    ],
)
def test_the_diagnosis_of_a_file_is_that_of_its_model(make, likelihood, left_out, path):
    model, encoder, decoder = make()
    x = images(60)
    x = x.reshape(len(x), *encoder.input_shape[1:])
    y = x if model.get_compile_config()["loss"] else None
    of_model = kelbo.diagnose(model, x, y, encoder=encoder, decoder=decoder).figures
    of_file = kelbo.diagnose(read_model(save(model, path)), x)
    for name in SAME:
        np.testing.assert_allclose(of_file.figures[name], of_model[name], rtol=1e-5, atol=1e-6)
    assert "effective_beta" not in of_file.figures
    assert "the code of the loss" in of_file.unmeasured["kl_weight"]
    assert of_file.origin["p(x|z)"].startswith(likelihood)
    assert left_out in of_file.origin["left out"]
    for line in (*of_file.origin.values(), *of_file.unmeasured.values()):
        assert line in str(of_file)


def test_the_training_steps_are_those_of_the_optimiser(path):
    model = models.subclassed()[0]
    assert read_model(save(model, path)).training_steps is None
    model.optimizer.iterations.assign(7)
    assert read_model(save(model, path)).training_steps == 7


def test_a_file_of_kelbos_is_its_model(path):
    save(healthy_vae(), path)
    diagnosis = kelbo.diagnose(kelbo.read_model(path), images())
    assert diagnosis.unmeasured == diagnosis.origin == {}


def with_code_in_the_encoder():
    x = keras.Input(SHAPE)
    h = models.Scale(name="scale")(layers.Dense(12)(layers.Flatten()(x)))
    q = [layers.Dense(LATENT, name="mu")(h), layers.Dense(LATENT, name="log_var")(h)]
    return models.subclassed(encoder=keras.Model(x, [*q, Sampling()(q)], name="encoder"))[0]


def with_code_in_an_activation():
    def swish_of_mine(x):
        return x * keras.ops.sigmoid(x)

    x = keras.Input(SHAPE)
    h = layers.Dense(12, swish_of_mine, name="hidden")(layers.Flatten()(x))
    q = [layers.Dense(LATENT, name="mu")(h), layers.Dense(LATENT, name="log_var")(h)]
    return models.subclassed(encoder=keras.Model(x, [*q, Sampling()(q)], name="encoder"))[0]


def with_code_in_the_decoder():
    return models.flat(scale=True)[0]


def without_names():
    x = keras.Input((DIM,))
    z = Sampling()([layers.Dense(LATENT)(x), layers.Dense(LATENT)(x)])
    return keras.Model(x, layers.Dense(DIM)(z))


def with_networks_of_its_own():
    class Own(models.VAE):
        def __init__(self, latent_dim=LATENT, **kwargs):
            super().__init__(models.make_encoder(), make_decoder(), **kwargs)

        def get_config(self):
            return {**keras.Model.get_config(self), "latent_dim": LATENT}

    return models.compiled(Own())


def with_halves():
    class Halves(models.VAE):
        def call(self, x):
            mu, log_var = keras.ops.split(self.encoder(x), 2, axis=-1)
            return self.decoder(mu), mu, log_var

    encoder = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2 * LATENT)])
    return models.subclassed(Halves, encoder)[0]


def with_a_condition():
    x, label = keras.Input(SHAPE), keras.Input((2,), name="label")
    h = layers.Concatenate()([layers.Flatten()(x), label])
    q = [layers.Dense(LATENT, name="mu")(h), layers.Dense(LATENT, name="log_var")(h)]
    return keras.Model([x, label], [*q, Sampling()(q)], name="encoder")


def with_two_decoders():
    class Two(models.VAE):
        def __init__(self, encoder, one, other):
            super().__init__(encoder, one)
            self.other = other

        def get_config(self):
            config = {**super().get_config(), "one": self.decoder, "other": self.other}
            return {key: value for key, value in config.items() if key != "decoder"}

    one, other = (models.renamed(make_decoder(), name) for name in ("one", "other"))
    return models.compiled(Two(models.make_encoder(), one, other))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            with_code_in_the_encoder,
            r"the layer 'scale' \(Scale\) needs the code of the class Scale",
        ),
        (with_code_in_an_activation, r"the layer 'hidden' \(Dense\) .*swish_of_mine"),
        (with_code_in_the_decoder, r"what follows z cannot be told: the layer 'scale' \(Scale\)"),
        (without_names, r"one encoder, .*found 0 in 1 network"),
        (
            with_networks_of_its_own,
            r"one encoder, .*found 0 in 0 network.*class makes for itself is in the file",
        ),
        (with_halves, r"one encoder, .*found 0 in 2 network"),
        (with_a_condition, r"an encoder that takes x alone, .*'encoder', which takes 2"),
        (with_two_decoders, r"one decoder, .*found 2"),
    ],
)
def test_what_is_not_in_a_file_is_said_and_the_way_out(make, message, path):
    with pytest.raises(RunError, match=f"theirs.keras: .*{message}.*kelbo.diagnose") as error:
        read_model(save(make(), path))
    assert "Full object config" not in str(error.value)


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """A file that code leaves behind which is run, and a module of such code."""
    mark = tmp_path / "mark"
    (tmp_path / "hostile_module.py").write_text(
        "import keras, pathlib\n"
        f"pathlib.Path({str(mark)!r}).touch()\n"
        "class Hostile(keras.layers.Layer): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return mark


def of_a_module(mark):
    importlib.import_module("hostile_module")
    name = {"module": "hostile_module", "class_name": "Hostile", "registered_name": "it>Hostile"}
    return {**name, "config": {"name": "hostile"}}


def of_a_lambda(mark):
    code = eval(f"lambda x: open({str(mark)!r}, 'w').close() or x")
    return run_once(keras.saving.serialize_keras_object(layers.Lambda(code)))


def of_an_activation(mark):
    hostile = keras.saving.serialize_keras_object(layers.Dense(12))
    code = of_a_lambda(mark)["config"]["function"]["config"]
    value = [code["code"], code["defaults"], code["closure"]]
    hostile["config"]["activation"] = {"class_name": "__lambda__", "config": {"value": value}}
    return run_once(hostile)


def run_once(hostile):
    """The configuration of a layer whose code is run where that is allowed."""
    with SafeModeScope(False):
        keras.saving.deserialize_keras_object(copy.deepcopy(hostile))(keras.Input((LATENT,)))
    return hostile


@pytest.mark.parametrize("make", [of_a_module, of_a_lambda, of_an_activation])
def test_code_in_a_file_is_never_run(make, path, mark, monkeypatch):
    hostile = make(mark)
    assert mark.exists()  # it would be
    mark.unlink()
    monkeypatch.delitem(sys.modules, "hostile_module", raising=False)
    original = models.subclassed()[0]

    def with_hostile(name):
        def change(config):
            entry(config, name).update(copy.deepcopy(hostile))
            return {**config, "module": "hostile_module", "registered_name": "it>VAE"}

        return rewritten(save(original, path), change)

    sampling, hidden = original.encoder.layers[-1].name, original.encoder.layers[2].name
    with SafeModeScope(False):  # whatever the program lets Keras do
        read = read_model(with_hostile(sampling))
        assert f"{sampling} ({hostile['class_name']})" in read.origin["left out"]
        with pytest.raises(RunError, match=f"the layer '{hidden}'"):
            read_model(with_hostile(hidden))
    assert not mark.exists() and "hostile_module" not in sys.modules


def with_weights_changed(path, change):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        change(file)
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in (parts | {"model.weights.h5": content.getvalue()}).items():
            archive.writestr(name, part)
    return path


def lose(file):
    del file["decoder/layers/dense"]


def reshape(file):
    values = file["decoder/layers/dense/vars"]
    del values["0"]
    values["0"] = np.zeros((LATENT + 1, 12))


def halve(file):
    del file["decoder/layers/dense/vars/1"]


def lose_names(file):
    file["decoder/vars"].attrs.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose, "no weights of the layer 'dense_?[0-9]*' of 'decoder'"),
        (reshape, r"weights of the layer 'dense.*' do not fit: expected \(3, 12\) .*\(4, 12\)"),
        (halve, r"weights of the layer 'dense.*' do not fit: expected \(12,\) .*found none"),
        (lose_names, "one place with the weights of the network 'decoder', found 0.* Keras 3.6"),
    ],
)
def test_weights_that_are_not_there_or_do_not_fit(change, message, path):
    save(models.subclassed()[0], path)
    with pytest.raises(RunError, match=message):
        read_model(with_weights_changed(path, change))


def test_a_file_that_was_cut_is_damaged(path):
    whole = save(models.subclassed()[0], path).read_bytes()
    for start in range(0, len(whole), len(whole) // 10):
        path.write_bytes(whole[:start])
        with pytest.raises(RunError, match="is damaged.*Save the model again"):
            read_model(path)


def test_an_hdf5_file_is_said_to_be_one(tmp_path):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(RunError, match=r"is an HDF5 file, .*model.save\('model.keras'\)"):
        read_model(tmp_path / "old.h5")


def places(value, path=()):
    """The keys of every value in a configuration."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*path, key)
        if isinstance(one, (dict, list)):
            yield from places(one, (*path, key))


def test_whatever_is_wrong_in_a_configuration_it_is_one_error(tmp_path):
    path = save(models.flat()[0], tmp_path / "theirs.keras")
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))

    @hypothesis.given(
        st.sampled_from(list(places(config))), st.sampled_from([None, 3, "x", [], {}])
    )
    def check(keys, value):
        changed = copy.deepcopy(config)
        place = changed
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        try:
            read_model(rewritten(path, lambda _: changed))
        except RunError as error:
            assert str(path) in str(error)

    check()


def test_a_graph_with_a_loop_is_damaged(path):
    def bend(config):
        call = entry(config, "z_mean")["inbound_nodes"][0]
        call["args"][0]["config"]["keras_history"] = ["z_mean", 0, 0]
        return config

    with pytest.raises(RunError, match="theirs.keras is damaged"):
        read_model(rewritten(save(models.flat()[0], path), bend))
