import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.saving.serialization_lib import SafeModeScope

import kelbo
from kelbo.errors import RunError
from kelbo.loading import load_model
from kelbo.networks import Conv2DTranspose, conv_decoder, conv_encoder
from tests.support import LATENT, data, tiny_ae, tiny_vae, weights


@pytest.fixture
def saved(tmp_path):
    model = tiny_vae()
    model.compile("adam")
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def rewritten(path, change):
    """The file with its configuration changed, as someone might send it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = json.dumps(change(json.loads(parts["config.json"]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("make", [tiny_vae, tiny_ae])
def test_a_model_comes_back_with_its_weights(make, tmp_path):
    model = make()
    model.compile("adam")
    model.fit(data(8), batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.compiled
    for one, other in zip(weights(model), weights(loaded), strict=True):
        np.testing.assert_array_equal(one, other)
    x = data(4)
    np.testing.assert_allclose(model.reconstruct(x), loaded.reconstruct(x), rtol=1e-6)


def test_there_is_no_file(tmp_path):
    with pytest.raises(RunError, match="There is no model file .*nothing.keras"):
        load_model(tmp_path / "nothing.keras")
    with pytest.raises(RunError, match="There is no model file"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"model\.keras is damaged, or is no \.keras file"):
        load_model(path)


def test_a_file_that_was_cut_or_changed_is_refused(saved):
    whole = saved.read_bytes()
    for start in range(0, len(whole), max(1, len(whole) // 20)):
        saved.write_bytes(whole[:start])
        with pytest.raises(RunError, match="is damaged"):
            load_model(saved)


def test_a_file_without_weights_is_refused(saved):
    with zipfile.ZipFile(saved) as archive:
        config = archive.read("config.json")
        metadata = archive.read("metadata.json")
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", metadata)
    with pytest.raises(RunError, match="is damaged"):
        load_model(saved)


def test_weights_of_another_model_are_refused(saved, tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save(tmp_path / "other.keras")
    with zipfile.ZipFile(tmp_path / "other.keras") as archive:
        foreign = archive.read("model.weights.h5")
    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in (parts | {"model.weights.h5": foreign}).items():
            archive.writestr(name, content)
    with pytest.raises(RunError, match="is damaged"):
        load_model(saved)


@pytest.mark.parametrize("config", [[], {}, {"class_name": "VAE"}, 3, "text", None])
def test_a_configuration_that_means_nothing_is_refused(saved, config):
    with pytest.raises(RunError, match="is damaged|is refused|holds a"):
        load_model(rewritten(saved, lambda _: config))


def test_a_lambda_layer_is_refused_and_never_run(tmp_path, capsys):
    inputs = keras.Input((2,))
    outputs = keras.layers.Lambda(lambda x: print("run!") or x, output_shape=(2,))(inputs)
    capsys.readouterr()
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    capsys.readouterr()
    with pytest.raises(RunError, match="refused: it needs the code of a Lambda"):
        load_model(tmp_path / "model.keras")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ({"class_name": "Lambda", "config": {}}, "the code of a Lambda"),
        ({"class_name": "__lambda__", "config": {}}, "the code of a lambda"),
        ({"class_name": "TFSMLayer", "config": {"filepath": "it"}}, "the code of a TFSMLayer"),
        (
            {"class_name": "StringLookup", "config": {"vocabulary": "it.txt"}},
            "the vocabulary 'it.txt'",
        ),
    ],
)
def test_code_deep_inside_is_refused_whatever_the_program_lets_keras_do(saved, hidden, message):
    def hide(config):
        config["config"]["posterior"]["config"]["network"]["config"]["layers"][0] = hidden
        return config

    with SafeModeScope(False), pytest.raises(RunError, match=f"refused: it needs {message}"):
        load_model(rewritten(saved, hide))


@pytest.mark.parametrize("depth", [300, 900, 100_000])
def test_a_configuration_that_is_nested_too_deeply_is_damaged(saved, depth):
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("config.json", '{"config":' * depth + "1" + "}" * depth)
    with pytest.raises(RunError, match="is damaged"):
        load_model(saved)


def test_a_configuration_that_would_fill_memory_is_not_read(saved):
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{" + " " * 2**26 + "}")
    with pytest.raises(RunError, match=f"is damaged.*configuration has {2**26 + 2} bytes"):
        load_model(saved)


@pytest.mark.parametrize("module", ["os", "builtins", "nobody.has.this", "kelbo.runs"])
def test_a_class_that_is_not_registered_is_refused(saved, module):
    def swap(config):
        config["config"]["objective"] = {
            "module": module,
            "class_name": "system",
            "registered_name": "system",
            "config": {"beta": 1.0},
        }
        return config

    with pytest.raises(RunError, match="is refused|is damaged") as caught:
        load_model(rewritten(saved, swap))
    assert len(str(caught.value)) < 600


def test_a_model_that_is_not_of_kelbo_is_refused(tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "model.keras")
    with pytest.raises(RunError, match=r"holds a Sequential, expected a model of kelbo"):
        load_model(tmp_path / "model.keras")


def test_it_is_public():
    assert kelbo.load_model is load_model


def test_a_model_that_was_compiled_and_never_trained_is_loaded_whole(tmp_path):
    # Keras warns, which is an error here, when the optimiser's variables are not in the file.
    model = tiny_vae()
    model.compile("adam")
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.optimizer.built
    for one, other in zip(weights(model), weights(loaded), strict=True):
        np.testing.assert_array_equal(one, other)


def with_keras_s_own_layers(config):
    """A configuration as kelbo wrote it before it had layers of its own."""
    own = [f"kelbo>{kind}" for kind in ("Conv2D", "Conv2DTranspose", "Dense")]
    if isinstance(config, dict):
        if config.get("registered_name") in own:
            config = config | {"module": "keras.layers", "registered_name": None}
        return {key: with_keras_s_own_layers(value) for key, value in config.items()}
    return (
        [with_keras_s_own_layers(part) for part in config] if isinstance(config, list) else config
    )


@pytest.mark.parametrize(
    ("change", "kind"),
    [(lambda config: config, Conv2DTranspose), (with_keras_s_own_layers, layers.Conv2DTranspose)],
    ids=["now", "before"],
)
def test_a_convolutional_model_comes_back_also_from_an_earlier_file(change, kind, tmp_path):
    image, sizes = (5, 4, 1), ((2, 3), (1, 2))
    model = kelbo.VAE(
        kelbo.GaussianPosterior(conv_encoder(image, *sizes), LATENT),
        kelbo.BernoulliLikelihood(conv_decoder(image, LATENT, None, *sizes)),
    )
    model.compile("adam")
    model.fit(data(4, image), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(rewritten(tmp_path / "model.keras", change))
    assert type(loaded.decoder.get_layer("dec_conv_2")) is kind
    for one, other in zip(weights(model), weights(loaded), strict=True):
        np.testing.assert_array_equal(one, other)
    x = data(4, image)
    np.testing.assert_allclose(model.reconstruct(x), loaded.reconstruct(x), rtol=1e-6)
