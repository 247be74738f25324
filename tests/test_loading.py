import io
import json
import struct
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from keras.src.backend.common import global_state
from keras.src.saving.serialization_lib import SafeModeScope

import kelbo
from kelbo.errors import RunError
from kelbo.loading import load_model
from kelbo.model_file import check_weights
from kelbo.networks import Conv2DTranspose, conv_decoder, conv_encoder, mlp_decoder
from tests.support import LATENT, SHAPE, data, little_memory, tiny_ae, tiny_vae, weights


@pytest.fixture
def saved(tmp_path):
    model = tiny_vae()
    model.compile("adam")
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def repacked(path, change, packing=zipfile.ZIP_STORED):
    """The file with its parts changed, as someone might send it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", packing, compresslevel=1) as archive:
        for name, content in change(parts).items():
            archive.writestr(name, content)
    return path


def with_config(change):
    """What changes the configuration among the parts of a file."""

    def changed(parts):
        config = change(json.loads(parts["config.json"]))
        return parts | {"config.json": json.dumps(config).encode()}

    return changed


def rewritten(path, change):
    """The file with its configuration changed."""
    return repacked(path, with_config(change))


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
    with pytest.raises(RunError, match="is a folder, expected a model file, such as .*model.keras"):
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


def with_each(value, change):
    """A configuration with every dictionary in it changed."""
    if isinstance(value, dict):
        return change({key: with_each(inner, change) for key, inner in value.items()})
    return [with_each(inner, change) for inner in value] if isinstance(value, list) else value


def wide(units):
    """A configuration whose dense layers are as wide as that."""
    return with_config(
        lambda config: with_each(
            config, lambda entry: entry | {"units": units} if "units" in entry else entry
        )
    )


def of_tensors(size):
    """A configuration whose data are as large as that."""
    return with_config(
        lambda config: with_each(
            config,
            lambda entry: (
                entry | {"batch_shape": [None, size]} if "batch_shape" in entry else entry
            ),
        )
    )


def with_dense(change):
    """A configuration with the first entry of a Dense layer changed."""

    def changed(config):
        rest = [config]
        while not (isinstance(rest[-1], dict) and rest[-1].get("class_name") == "Dense"):
            value = rest.pop()
            if isinstance(value, (dict, list)):
                rest += value.values() if isinstance(value, dict) else value
        change(rest[-1])
        return config

    return with_config(changed)


def with_option(name, value):
    """A configuration whose first Dense layer has an option of that name."""
    return with_dense(lambda entry: entry["config"].update({name: value}))


def called_on_a_constant(entry):
    number = {"class_name": "__tensor__", "config": {"value": [[1.0]], "dtype": "float32"}}
    entry["inbound_nodes"] = [{"args": [number], "kwargs": {}}]


def called_ahead(entry):
    """A network whose layers stand in the opposite order of their calls."""

    def layer(number):
        before = {"keras_history": [f"layer{number + 1}", 0, 0]}
        args = [{"class_name": "__keras_tensor__", "config": before}]
        return {"name": f"layer{number}", "inbound_nodes": [{"args": args, "kwargs": {}}]}

    entry["config"] = {"layers": [layer(number) for number in range(100)]}


def of_many_layers(entry):
    entry.update(class_name="Sequential", config={"layers": [{"class_name": "ReLU"}] * 300})


def with_group(change):
    """What changes the group of a kernel among the parts of a file."""
    return with_weights(lambda file, name: change(file[name.rpartition("/")[0]]))


def nested(value, depth):
    for _ in range(depth):
        value = {"config": value}
    return value


def with_weights(change):
    """What changes a kernel, by the file and its name, among the parts of a file."""

    def changed(parts):
        content = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(content, "r+") as file:
            names = []
            file.visititems(lambda name, item: names.append(name) if _is_kernel(item) else None)
            del file[names[0]]
            change(file, names[0])
        return parts | {"model.weights.h5": content.getvalue()}

    return changed


def _is_kernel(item):
    return isinstance(item, h5py.Dataset) and len(item.shape) == 2


def longer(name, size):
    """What adds zeros to a part of a file."""
    return lambda parts: parts | {name: parts.get(name, b"") + bytes(size)}


def many(parts):
    """More assets than there is room for, each of a size that is none."""
    return parts | {f"assets/{number}.txt": bytes(2**24) for number in range(5)}


# What someone might send, and the words that it is refused with. Of 1 GB none needs a tenth.
HOSTILE = {
    "an entry": (longer("model.weights.h5", 2**26), "entries would take 67,.* expected at most"),
    "many entries": (many, "entries would take 83,.* expected at most"),
    "the configuration": (longer("config.json", 2**23), "configuration has 8,.* bytes, expected"),
    "its parts": (
        with_config(lambda config: config | {"parts": [{}] * 2**16}),
        "configuration has 6.,... parts, expected at most 65,536",
    ),
    "its depth": (with_config(lambda config: nested(config, 101)), "more than 100 levels deep"),
    # Keras imports it in steps of one dot and keeps the rest at each: 3 GB.
    "a module": (
        with_dense(lambda entry: entry.update(module="keras" + "." * 2**22, registered_name=None)),
        "configuration has a text of 4,194,309 characters, expected at most 65,536",
    ),
    "a key": (with_option("x" * 2**17, 1), "has a text of 131,072 characters, expected at most"),
    "a name": (with_option("name", "x" * 2**15), "has a name of 32,768 characters, expected"),
    "a number": (with_option("units", 10**4000), "a whole number of more than 64 bits"),
    "axes": (with_option("target_shape", [1] * 2**20), "a shape of 1,048,576 axes, expected"),
    "a list": (with_option("ngrams", 10**8), "value of 'ngrams' of 100,000,000 parts, expected"),
    "an error": (
        with_option("activation", nested(["x" * 2**15] * 100, 80)),
        "so large at its depth that an error about it would have .* characters, expected",
    ),
    "a Sequential": (with_dense(of_many_layers), "has a Sequential of 300 layers, expected"),
    "a constant": (with_dense(called_on_a_constant), "calls the layer '.*' on no tensor"),
    "an order": (with_dense(called_ahead), "has a network of 99 calls ahead of what they are"),
    "a tensor": (of_tensors(2**40), r"tensor of shape \[None, 1099511627776\]"),
    "a layer": (wide(2**31 - 1), "describes .* weights, .*, 2147483647.* has no room for them"),
    "layers": (wide(2**13), "describes .* weights, .* 8192.* has no room for them"),
    "nothing stored": (
        with_weights(lambda file, name: file.create_dataset(name, (2**20, 2**20), "float32")),
        "weights declare 4,398,.* bytes, and model.weights.h5 holds",
    ),
    "packed weights": (
        with_weights(
            lambda file, name: file.create_dataset(name, data=np.zeros((9, 9)), compression="gzip")
        ),
        "weights '.*' are in pieces, expected in one",
    ),
    "text": (
        with_weights(lambda file, name: file.create_dataset(name, data=["text"] * 9)),
        "weights '.*' are no numbers",
    ),
    "names": (
        with_group(lambda group: group.attrs.update(name=["text"] * 9)),
        "weights '.*' have a list of texts as 'name'",
    ),
    "groups in groups": (
        with_group(lambda group: group.create_group("/".join("x" * 101))),
        "weights are nested more than 100 levels deep",
    ),
    "weights elsewhere": (
        with_weights(
            lambda file, name: file.create_dataset(name, (9,), "u1", external=[("there", 0, 9)])
        ),
        "weights '.*' lie in another file",
    ),
    "no weights": (
        lambda parts: {
            "model.weights.npz" if ".h5" in name else name: parts[name] for name in parts
        },
        "has no model.weights.h5",
    ),
}


def refused(load, path, kind):
    """Check that a hostile file is refused in its words, in little memory."""
    change, message = HOSTILE[kind]
    repacked(path, change, zipfile.ZIP_DEFLATED)
    with little_memory(), pytest.raises(RunError, match=message):
        load(path)


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_declares_more_than_it_holds_is_refused_before_anything_is_made(saved, kind):
    refused(load_model, saved, kind)


@pytest.mark.once
def test_weights_of_more_parts_than_any_model_are_not_gone_through(saved):
    content = io.BytesIO()
    with h5py.File(content, "w", libver="latest") as file:
        for number in range(2**16):
            file.create_group(f"group{number}")
    repacked(saved, lambda parts: parts | {"model.weights.h5": content.getvalue()})
    with pytest.raises(RunError, match="weights have more than 65,536 parts"):
        load_model(saved)


def test_entries_that_share_their_bytes_count_each_for_itself(saved):
    repacked(saved, longer("assets/0", 2**24), zipfile.ZIP_DEFLATED)
    content = saved.read_bytes()
    end = content.rindex(b"PK\5\6")
    size, start = struct.unpack("<II", content[end + 12 : end + 20])
    directory = content[start : start + size]
    repeated = directory + 9 * directory[directory.rindex(b"PK\1\2") :]
    count = repeated.count(b"PK\1\2")
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(repeated), start, 0)
    saved.write_bytes(content[:start] + repeated + tail)
    with little_memory(), pytest.raises(RunError, match="entries would take 167,"):
        load_model(saved)


def test_a_packing_that_nobody_uses_is_refused(saved):
    repacked(saved, lambda parts: parts, zipfile.ZIP_LZMA)
    with pytest.raises(RunError, match="packed by method 14, expected stored or deflated"):
        load_model(saved)


def test_a_packed_file_is_loaded(saved):
    expected = weights(load_model(saved))
    repacked(saved, lambda parts: parts, zipfile.ZIP_DEFLATED)
    for one, other in zip(expected, weights(load_model(saved)), strict=True):
        np.testing.assert_array_equal(one, other)


@keras.saving.register_keras_serializable("kelbo-tests")
class Scale(layers.Layer):
    """A layer of the caller's, with a variable that is made from a value."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = keras.Variable(2.0)

    def call(self, x):
        return self.scale * x


def test_a_class_of_the_callers_is_loaded_with_its_weights(tmp_path):
    encoder = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), Scale(), layers.Dense(5)])
    model = kelbo.VAE(
        kelbo.GaussianPosterior(encoder, LATENT),
        kelbo.BernoulliLikelihood(mlp_decoder(SHAPE, LATENT, hidden_units=(5,))),
    )
    encoder.layers[1].scale.assign(3.0)
    model.save(tmp_path / "model.keras")
    for one, other in zip(
        weights(model), weights(load_model(tmp_path / "model.keras")), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_is_tried_out_leaves_no_variable_to_be_made():
    check_weights(tiny_vae, 10**6)
    # At the end of the next scope Keras makes what is noted here.
    assert not global_state.get_global_attribute("uninitialized_variables")


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
