"""What is read of a file is what its model is, and nothing of the file is run."""

import copy
import importlib
import io
import json
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from keras import layers
from keras.src.saving.serialization_lib import SafeModeScope

import kelbo
from kelbo.clinic.foreign import read_model
from kelbo.errors import DataError, RunError, UsageError
from tests.clinic.diagnosis.models import (
    DIM,
    LATENT,
    SHAPE,
    Sampling,
    healthy_vae,
    images,
    make_decoder,
)
from tests.clinic.foreign import models
from tests.test_loading import HOSTILE, refused, rewritten

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
    ("make", "likelihood", "left_out", "hidden"),
    [
        (
            models.subclassed,
            "Bernoulli from probabilities, because the decoder ends in a sigmoid",
            "Sampling",
            "the class VAE may compute the loss itself",
        ),
        (
            models.registered,
            "Bernoulli from probabilities, because the decoder ends in a sigmoid",
            "Sampling",
            "the class RegisteredVAE",
        ),
        (
            models.of_images,
            "Bernoulli from probabilities, because the decoder ends",
            "Sampling",
            "the class VAE",
        ),
        (
            models.with_parts_of_every_kind,
            "Bernoulli from probabilities",
            "Sampling",
            "the class OfOtherNames",
        ),
        (
            models.nested,
            "Bernoulli from probabilities, because the loss is BinaryC",
            "AddKL",
            "AddKL",
        ),
        (
            models.flat_lambda,
            "Bernoulli from probabilities, because the loss is bin",
            "z (Lambda)",
            "AddKL",
        ),
        (models.flat_logits, "Bernoulli from logits", "z (Sampling)", "AddKL"),
        (models.unnamed, "Bernoulli from probabilities", "AddKL", "AddKL"),
        (
            models.flat_squared_error,
            "Gaussian of variance 1, because the loss is mse",
            "AddKL",
            "AddKL",
        ),
        (
            models.loss_layer,
            "Bernoulli from probabilities",
            "(AddLoss)",
            "(Sampling) needs the code",
        ),
    ],
)
def test_the_diagnosis_of_a_file_is_that_of_its_model(make, likelihood, left_out, hidden, path):
    model, encoder, decoder = make()
    x = images(60)
    x = x.reshape(len(x), *encoder.input_shape[1:])
    y = x if model.get_compile_config()["loss"] else None
    of_model = kelbo.diagnose(model, x, y, encoder=encoder, decoder=decoder).figures
    of_file = kelbo.diagnose(read_model(save(model, path)), x)
    for name in SAME:
        np.testing.assert_allclose(of_file.figures[name], of_model[name], rtol=1e-5, atol=1e-6)
    assert "effective_beta" not in of_file.figures
    assert hidden in of_file.unmeasured["kl_weight"]
    assert "kelbo.diagnose(model, x)" in of_file.unmeasured["kl_weight"]
    assert of_file.origin["p(x|z)"].startswith(likelihood)
    assert left_out in of_file.origin["left out"]
    for line in (*of_file.origin.values(), *of_file.unmeasured.values()):
        assert line in str(of_file)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_effective_beta_of_a_file_is_measured_where_keras_has_all_of_it(weight, nested, path):
    model = models.of_keras_alone(weight, nested=nested)
    x = images(60).reshape(60, DIM)
    y = [x, np.zeros((60, 1), "float32")]
    read = read_model(save(model, path))
    of_model, of_file = (kelbo.diagnose(one, x, y).figures for one in (model, read))
    for name, expected in (
        ("effective_beta", weight),
        ("kl_weight", weight),
        ("reconstruction_weight", 1.0),
    ):
        assert of_file[name] == pytest.approx(expected, rel=3e-3)
        assert of_model[name] == pytest.approx(expected, rel=3e-3)
    assert (
        "kelbo.read_model(path), x, y=[x, ...]" in kelbo.diagnose(read, x).unmeasured["kl_weight"]
    )
    with pytest.raises(DataError, match="Expected one target"):
        kelbo.diagnose(read, x, [x, x])


def test_a_file_without_a_kl_is_said_to_have_none(path):
    read = read_model(save(models.of_keras_alone(kl=False), path))
    found = kelbo.diagnose(read, images(60).reshape(60, DIM))
    assert "kl-does-not-reach-the-encoder" in [one.name for one in found.findings]
    assert found.figures["reconstruction_weight"] == pytest.approx(1 / DIM, rel=3e-3)
    assert not found.unmeasured


def binary_crossentropy(x, p):
    """A function of Keras's name that does something else: the sum."""
    return keras.ops.sum(keras.losses.binary_crossentropy(x, p), axis=-1)


class MeanSquaredError(keras.losses.Loss):
    """A class of Keras's name."""

    def call(self, x, y):
        return keras.ops.sum(keras.ops.square(x - y), axis=-1)


@pytest.mark.parametrize(
    ("loss", "hidden"),
    [
        (
            binary_crossentropy,
            "function 'binary_crossentropy', of which the file has only the name",
        ),
        (MeanSquaredError(), "the code of MeanSquaredError"),
        (None, "no compiled loss"),
    ],
)
def test_a_loss_of_the_name_of_keras_is_not_taken_for_it(loss, hidden, path):
    model = models.of_keras_alone(loss=loss, kl=False)
    found = kelbo.diagnose(read_model(save(model, path)), images(60).reshape(60, DIM))
    assert hidden in found.unmeasured["kl_weight"] and "effective_beta" not in found.figures


@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_file_that_is_not_trained_is_called_so(is_compiled, path):
    model = models.subclassed()[0] if is_compiled else models.with_noise_as_input()[0]
    x = images(60) if is_compiled else images(60).reshape(60, DIM)
    found = kelbo.diagnose(read_model(save(model, path)), x)
    assert [one.name for one in found.findings] == ["not-trained"]


@pytest.mark.parametrize("make", [models.inline, models.inline_nested, models.inline_clipped])
def test_arithmetic_on_mu_and_log_var_is_not_taken_for_them(make, path):
    model, encoder, decoder = make()
    read = read_model(save(model, path))
    x = images(5).reshape(5, DIM)
    mu, log_var = map(keras.ops.convert_to_numpy, encoder(x))
    for one, other in zip((mu, log_var), read.encode(x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    expected = keras.ops.convert_to_numpy(decoder(mu))
    np.testing.assert_allclose(read.decode(mu), expected, rtol=1e-5)


def test_the_training_steps_are_those_of_the_optimiser(path):
    model = models.subclassed()[0]
    assert read_model(save(model, path)).training_steps == 0
    for weight in model.trainable_weights:  # trained, and compiled again
        weight.assign(weight + 0.1)
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


def with_networks_of_its_own():
    class Own(models.VAE):
        def __init__(self, latent_dim=LATENT, **kwargs):
            super().__init__(models.make_encoder(), make_decoder(), **kwargs)

        def get_config(self):
            return {**keras.Model.get_config(self), "latent_dim": LATENT}

    return models.compiled(Own())


def alone():
    return models.make_encoder()


def with_second_output(make):
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    q = [layers.Dense(LATENT, name="z_mean")(h), make(h)]
    encoder = keras.Model(x, [*q, Sampling()(q)], name="encoder")
    return models.subclassed(encoder=encoder)[0]


def with_log_sigma():
    return with_second_output(layers.Dense(LATENT, name="z_log_sigma"))


def with_softplus():
    return with_second_output(layers.Dense(LATENT, "softplus", name="spread"))


def with_exp():
    return with_second_output(lambda h: keras.ops.exp(layers.Dense(LATENT)(h)))


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
        (
            with_code_in_the_decoder,
            r"the layer 'scale' \(Scale\) needs the code of the class Scale",
        ),
        (
            with_networks_of_its_own,
            r"one encoder, .*none was found.*class makes for itself is in a file",
        ),
        (alone, r"one decoder, .*none was found.*'encoder' from \(None, 4, 4, 1\) to mu, log_var"),
        (with_two_decoders, r"one decoder, .*2 were found.*'one' from .*'other' from"),
        (with_log_sigma, r"'z_log_sigma' seems to be sigma.*log_sigma, sigma or var in place of"),
        (with_softplus, r"'spread' seems to be sigma"),
        (with_exp, r"'exp\w*' seems to be sigma"),
    ],
)
def test_what_is_not_in_a_file_is_said_and_the_way_out(make, message, path):
    with pytest.raises(RunError, match=f"theirs.keras: .*{message}.*kelbo.diagnose") as error:
        read_model(save(make(), path))
    assert "Full object config" not in str(error.value)


def test_halves_of_one_output_are_mu_and_log_var(path):
    model = models.halves()
    x = images(5)
    read = read_model(save(model, path))
    expected = keras.ops.convert_to_numpy(model.encoder(x))
    np.testing.assert_allclose(np.concatenate(read.encode(x), axis=1), expected, rtol=1e-5)
    assert "whose halves are mu and log_var" in read.origin["encoder"]


def labels(n):
    return np.eye(LATENT)[np.arange(n) % LATENT].astype("float32")


@pytest.mark.parametrize("make", [models.of_labels, models.of_labels_nested])
def test_a_label_of_the_shape_of_z_is_not_taken_for_it(make, path):
    model = make()
    x = [images(60), labels(60)]
    of_model = kelbo.diagnose(model, x, x[0]).figures
    of_file = read_model(save(model, path))
    mu, _ = of_file.encode(x[0], x[1:])
    expected = keras.ops.convert_to_numpy(model.decoder([x[1], mu]))
    np.testing.assert_allclose(of_file.decode(mu, x[1:]), expected, rtol=1e-5)
    figures = kelbo.diagnose(of_file, x).figures
    for name in ("kl", "activity"):
        np.testing.assert_allclose(figures[name], of_model[name], rtol=1e-5, atol=1e-6)


def test_where_no_name_tells_z_from_a_label_it_is_asked_for(path):
    model = models.of_labels(("one", "two"))
    x = [images(5), labels(5)]
    with pytest.raises(UsageError, match=r"z, but one and two have its shape.*name=\"z\""):
        kelbo.diagnose(model, x)
    with pytest.raises(
        RunError, match="z, but one and two have its shape.*encoder and z can be named"
    ):
        read_model(save(model, path))
    read = read_model(path, z="two")
    expected = keras.ops.convert_to_numpy(model.decoder([x[1], x[1] / 2]))
    np.testing.assert_allclose(read.decode(x[1] / 2, x[1:]), expected, rtol=1e-5)
    named = [keras.Input((LATENT,), name=name) for name in ("z", "label")]
    decoder = keras.Model(named, model.decoder(named[::-1]))
    figures = kelbo.diagnose(model, x, decoder=decoder).figures
    assert figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)


def test_where_neither_shape_nor_name_tells_x_from_a_condition_it_is_said(path):
    inputs = [keras.Input(SHAPE, name=name) for name in ("one", "two")]
    h = layers.Flatten()(layers.Concatenate()(inputs))
    q = [layers.Dense(LATENT, name=name)(h) for name in ("mu", "log_var")]
    encoder = keras.Model(inputs, [*q, Sampling()(q)], name="encoder")

    class Translating(models.OfLabels):
        def call(self, inputs):
            mu, log_var, z = self.encoder(inputs)
            return self.decoder(z), mu, log_var

    model = Translating(encoder, make_decoder())
    model.compile("adam")
    model([images(2), images(2)])
    with pytest.raises(UsageError, match='may be x, but one and two may.*name="x"'):
        kelbo.diagnose(model, [images(), images()])
    with pytest.raises(RunError, match="theirs.keras: .*may be x, but one and two may"):
        read_model(save(model, path))


def test_halves_of_one_output_and_a_label_of_another_shape(path):
    x, label = keras.Input(SHAPE), keras.Input((2 * LATENT,))
    h = layers.Concatenate()([layers.Flatten()(x), label])
    encoder = keras.Model([x, label], layers.Dense(2 * LATENT)(h), name="encoder")
    label, z = keras.Input((2 * LATENT,)), keras.Input((LATENT,))
    decoded = layers.Dense(DIM, "sigmoid")(layers.Concatenate()([label, z]))
    decoder = keras.Model([label, z], layers.Reshape(SHAPE)(decoded), name="decoder")

    class OfHalves(models.OfLabels):
        def call(self, inputs):
            mu, log_var = keras.ops.split(self.encoder(inputs), 2, axis=-1)
            return self.decoder([inputs[1], mu]), mu, log_var

    model = OfHalves(encoder, decoder)
    model.compile("adam")
    label = np.eye(2 * LATENT)[np.arange(60) % LATENT].astype("float32")
    model([images(60), label])
    of_model = kelbo.diagnose(model, [images(60), label]).figures
    assert of_model["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    of_file = kelbo.diagnose(read_model(save(model, path)), [images(60), label]).figures
    np.testing.assert_allclose(of_file["kl"], of_model["kl"], rtol=1e-5)


def test_an_autoencoder_is_not_read_as_halves(path):
    class Autoencoder(models.VAE):
        def call(self, x):
            return self.decoder(self.encoder(x))

    encoder = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(LATENT)])
    model = models.subclassed(Autoencoder, encoder)[0]
    with pytest.raises(RunError, match="'decoder' takes it whole: this looks like a plain auto"):
        read_model(save(model, path))
    with pytest.raises(UsageError, match="takes it whole: this looks like a plain autoencoder"):
        kelbo.diagnose(model, images())


def test_a_condition_is_read_with_the_data(path):
    model = models.conditional()
    x, label = images(60), np.eye(2)[np.arange(60) % 2].astype("float32")
    of_model = kelbo.diagnose(model, [x, label], x).figures
    read = read_model(save(model, path))
    assert read.conditions == ((2,),)
    of_file = kelbo.diagnose(read, [x, label])
    for name in ("kl", "activity", "active_units"):
        np.testing.assert_allclose(of_file.figures[name], of_model[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(read.conditions_of(np.arange(60) % 2)[0], label)
    assert "a condition of shape (2,)" in str(read)
    with pytest.raises(DataError, match=r"x and 1 condition.*\(2,\), received 1 array"):
        kelbo.diagnose(read, x)
    with pytest.raises(DataError, match=r"a condition of shape \(2,\), received \(60, 3\)"):
        kelbo.diagnose(read, [x, np.zeros((60, 3))])
    with pytest.raises(DataError, match="2 classes, received labels from 0 to 59"):
        read.conditions_of(np.arange(60))
    with pytest.raises(DataError, match="these data have none"):
        read.conditions_of(None)


@pytest.mark.parametrize(
    ("kind", "scale"),
    [("log_var", lambda v: v), ("log_sigma", lambda v: 2 * v), ("var", np.log)],
)
def test_what_is_said_of_the_second_parameter_is_taken(kind, scale, path):
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    q = [layers.Dense(LATENT, name="a")(h), layers.Dense(LATENT, "softplus", name="b")(h)]
    model = models.subclassed(encoder=keras.Model(x, [*q, Sampling()(q)], name="encoder"))[0]
    read = read_model(save(model, path), mu="a", **{kind: "b"})
    x = images(5)
    expected = scale(keras.ops.convert_to_numpy(model.encoder(x)[1]))
    np.testing.assert_allclose(read.encode(x)[1], expected, rtol=1e-4, atol=1e-5)
    assert f"which was said to be {kind}" in read.origin["encoder"]


def test_a_model_of_kelbos_knows_its_roles(path):
    with pytest.raises(UsageError, match="knows its roles"):
        read_model(save(healthy_vae(), path), z="z")


def test_a_file_of_keras_3_0_has_its_numbers():
    """The numbers are those that Keras 3.0.5 printed when it saved the file."""
    read = read_model(Path(__file__).parent / "keras-3.0.5.keras")
    x = ((np.arange(32) * 7 % 16) / 15).reshape(2, 4, 4, 1).astype("float32")
    mu, log_var = read.encode(x)
    expected = [[-0.00899, -0.11420, -0.04987], [0.11627, -0.13833, 0.01617]]
    np.testing.assert_allclose([mu[0], log_var[0]], expected, atol=1e-5)
    row = read.decode(mu)[0, 0, :, 0]
    np.testing.assert_allclose(row, [0.50397, 0.49641, 0.50169, 0.49994], atol=1e-5)


def test_two_networks_of_the_same_layers_without_names_are_told_apart_or_refused(path):
    def forget(file):
        file.visititems(lambda _, item: item.attrs.clear())
        file["vars"].attrs.clear()

    model = models.subclassed()[0]
    x = images(5)
    expected = keras.ops.convert_to_numpy(model.encoder(x)[0])
    read = read_model(with_weights_changed(save(model, path), forget))
    np.testing.assert_allclose(read.encode(x)[0], expected, rtol=1e-5)

    def double(file):
        forget(file)
        file.copy("encoder", "again")
        file.move("encoder", "first")

    with pytest.raises(RunError, match="weights of the network 'encoder', found 2.* same layers"):
        read_model(with_weights_changed(save(model, path), double))


def test_a_read_model_describes_itself(path):
    model, encoder, decoder = models.flat()
    text = str(read_model(save(model, path)))
    assert text == repr(read_model(path))
    count = sum(int(np.prod(weight.shape)) for weight in encoder.weights)
    for part in ("z_mean and clip", f"(None, {DIM}) -> ", f"{count:,} weights", "because the loss"):
        assert part in text
    assert "keras_tensor" not in text and len(text) < 700


def test_twice_log_sigma_is_taken_for_log_var(path):
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    mu, log_sigma = layers.Dense(LATENT)(h), layers.Dense(LATENT, name="z_log_sigma")(h)
    encoder = keras.Model(x, [mu, 2 * log_sigma, Sampling()([mu, log_sigma])], name="encoder")
    model = models.subclassed(encoder=encoder)[0]
    x = images(5)
    expected = keras.ops.convert_to_numpy(model.encoder(x)[1])
    np.testing.assert_allclose(read_model(save(model, path)).encode(x)[1], expected, rtol=1e-5)


def test_what_sampling_gets_is_taken_where_the_second_output_is_sigma(path):
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    q = [layers.Dense(LATENT, name="z_mean")(h), layers.Dense(LATENT, name="z_log_var")(h)]
    std = keras.ops.exp(0.5 * q[1])
    encoder = keras.Model(x, [q[0], std, Sampling()(q)], name="encoder")
    model = models.subclassed(encoder=encoder)[0]
    x = images(5)
    std = keras.ops.convert_to_numpy(encoder(x)[1])
    log_var = read_model(save(model, path)).encode(x)[1]
    np.testing.assert_allclose(np.exp(0.5 * log_var), std, rtol=1e-5)


@pytest.mark.parametrize(
    "loss", [{"decoder": "mse"}, ["mse", "mse"], {"class_name": ["mse"], "config": {}}]
)
def test_several_losses_do_not_say_what_the_output_means(loss, path):
    def change(config):
        config["compile_config"]["loss"] = loss
        return config

    read = read_model(rewritten(save(models.flat()[0], path), change))
    assert len(read.likelihoods) > 1 and "p(x|z)" not in read.origin


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
        keras.saving.deserialize_keras_object(copy.deepcopy(hostile))(keras.ops.zeros((1, LATENT)))
    return hostile


def of_a_registered_function(mark):
    @keras.saving.register_keras_serializable("it")
    def hostile(x):
        mark.touch()
        return x

    function = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    dense = keras.saving.serialize_keras_object(layers.Dense(12))
    dense["config"]["activation"] = {**function, "config": "it>hostile"}
    return run_once(dense)


def of_a_saved_model(mark):
    mark.touch()
    name = {"module": "keras.layers", "class_name": "TFSMLayer", "registered_name": None}
    return {**name, "config": {"name": "hostile", "filepath": str(mark)}}


@pytest.mark.parametrize(
    "make",
    [
        of_a_module,
        of_a_lambda,
        of_an_activation,
        of_a_registered_function,
        of_a_saved_model,
    ],
)
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


def test_a_vocabulary_in_another_file_is_not_read(path, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("word")
    lookup = keras.saving.serialize_keras_object(layers.StringLookup(vocabulary=["a"]))
    lookup["config"]["vocabulary"] = str(words)
    model = models.subclassed()[0]

    def change(config):
        entry(config, model.encoder.layers[2].name).update(lookup)
        return config

    with SafeModeScope(False), pytest.raises(RunError, match="needs the vocabulary .*words.txt"):
        read_model(rewritten(save(model, path), change))


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
        (
            lose_names,
            "one place with the weights of the network 'decoder', found 0.* older than 3.6",
        ),
    ],
)
def test_weights_that_are_not_there_or_do_not_fit(change, message, path):
    save(models.subclassed()[0], path)
    with pytest.raises(RunError, match=message):
        read_model(with_weights_changed(path, change))


DENSE = "decoder/layers/dense"


def link_outside(file, other):
    file[f"{DENSE}/vars/0"] = h5py.ExternalLink(other, "secret")


def store_outside(file, other):
    size = 4 * LATENT * 12
    where = [(str(other), 0, size)]
    file.create_dataset(f"{DENSE}/vars/0", (LATENT, 12), "float32", external=where)


def map_outside(file, other):
    layout = h5py.VirtualLayout((LATENT, 12), "float32")
    layout[:] = h5py.VirtualSource(other, "secret", (LATENT, 12), "float32")
    file.create_virtual_dataset(f"{DENSE}/vars/0", layout)


@pytest.mark.parametrize("outside", [link_outside, store_outside, map_outside])
def test_weights_in_other_files_are_not_read(outside, path, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.ones((LATENT, 12), "float32")

    def change(file):
        del file[f"{DENSE}/vars/0"]
        outside(file, other)

    save(models.subclassed()[0], path)
    with pytest.raises(
        RunError, match=r"weights of the layer 'dense.*found none|lie in another file"
    ):
        read_model(with_weights_changed(path, change))


@pytest.mark.parametrize("place", ["decoder/layers", DENSE, f"{DENSE}/vars"])
def test_no_link_to_another_file_is_followed(place, path, tmp_path):
    save(models.subclassed()[0], path)
    other = tmp_path / "other.h5"
    with zipfile.ZipFile(path) as archive:
        other.write_bytes(archive.read("model.weights.h5"))

    def change(file):
        del file[place]
        file[place] = h5py.ExternalLink(other, place)

    with_weights_changed(path, change)
    with pytest.raises(RunError, match="one place with the weights|no weights of|found none"):
        read_model(path)


def test_a_name_that_is_no_text_names_nothing(path):
    def change(file):
        file["decoder/vars"].attrs["name"] = [1, 2]

    save(models.subclassed()[0], path)
    with pytest.raises(RunError, match="one place with the weights of the network 'decoder'"):
        read_model(with_weights_changed(path, change))


def test_training_steps_without_end_are_damage(path):
    def change(file):
        del file["optimizer/vars/0"]
        file["optimizer/vars/0"] = np.inf

    save(models.subclassed()[0], path)
    with pytest.raises(RunError, match="is damaged.*OverflowError"):
        read_model(with_weights_changed(path, change))


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_declares_more_than_it_holds_is_refused_before_anything_is_made(kind, path):
    refused(read_model, save(models.subclassed()[0], path), kind)


def without_shapes(config):
    """A configuration that does not say for which inputs its layers were."""
    if isinstance(config, list):
        return [without_shapes(value) for value in config]
    if not isinstance(config, dict):
        return config
    return {key: without_shapes(value) for key, value in config.items() if key != "build_config"}


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_network_of_more_weights_than_the_file_is_never_made(name, path):
    model = models.subclassed()[0]
    dense = next(one for one in getattr(model, name).layers if isinstance(one, layers.Dense))

    def change(config):
        # No memory would hold them.
        entry(config, dense.name)["config"]["units"] = 10**14
        return without_shapes(config)

    with pytest.raises(RunError, match="describes .* weights, .*100000000000000.* no room"):
        read_model(rewritten(save(model, path), change))
    with keras.StatelessScope():  # makes what is still to be made
        pass


def test_a_file_that_was_cut_is_damaged(path):
    whole = save(models.subclassed()[0], path).read_bytes()
    for start in range(0, len(whole), len(whole) // 10):
        path.write_bytes(whole[:start])
        with pytest.raises(RunError, match="is damaged.*Ask for it anew"):
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


@pytest.mark.once
@pytest.mark.parametrize("make", [models.flat, models.with_parts_of_every_kind])
def test_whatever_is_wrong_in_a_configuration_it_is_one_error(make, tmp_path):
    model = make()[0]
    model.compile("adam", "binary_crossentropy")
    path = save(model, tmp_path / "theirs.keras")
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
