"""A .keras file -> what of it can be diagnosed."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import keras

from kelbo.diagnosis.subject import (
    GAUSSIAN,
    LOGITS,
    PROBABILITIES,
    Subject,
    subject_of,
    subject_of_networks,
)
from kelbo.errors import RunError
from kelbo.foreign.graph import Network, find_networks
from kelbo.foreign.rebuild import CodeNeededError, rebuild
from kelbo.foreign.roles import Decoder, Encoder, decoder_of, encoders_in
from kelbo.foreign.weights import load_weights, read_training_steps
from kelbo.likelihoods.logits import ends_in_sigmoid
from kelbo.loading import load_model, read_config

_WEIGHTS = "model.weights.h5"
# Keras stores them uncompressed; what shrinks more than weights ever do is made to fill memory.
_LARGEST_EXPANSION = 100
_WAY_OUT = (
    "In the program that has the model's code: kelbo.diagnose(model, x), or "
    "kelbo.diagnose(model, x, encoder=..., decoder=...)."
)
# What a configuration or an archive gives that is not as Keras writes it.
_DAMAGE = (
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
# Names of Keras's losses, as functions and as classes, in one spelling.
_CROSS_ENTROPY = ("binarycrossentropy", "bce")
_SQUARED_ERROR = ("meansquarederror", "mse")


def read_model(path: str | Path) -> Subject:
    """Read what can be diagnosed of a .keras file: kelbo's, or any VAE's without its code.

    Of a VAE that is not kelbo's these are the networks from x to mu and log_var and from z to x,
    `encoder` and `decoder` of the result, with their weights. They are made of Keras's own layers;
    a layer of another class may only stand behind mu and log_var, as a Sampling layer does. Nothing
    in the file is run, and no module that it names is imported.

    Returns:
        What `kelbo.diagnose` takes in the place of a model; its `origin` says what was taken for
        encoder and decoder, what was left out, and what the decoder's output was taken for.

    Raises:
        RunError: there is no such file, it is damaged, or it does not say enough.
    """
    path = Path(path)
    config = read_config(path)
    if str(config.get("registered_name")).startswith("kelbo>"):
        return subject_of(load_model(path))
    try:
        return _read(path, config)
    except CodeNeededError as error:
        raise RunError(f"{path}: {error}. {_WAY_OUT}") from error
    except RunError as error:
        raise RunError(f"{path}: {error} {_WAY_OUT}") from error
    except _DAMAGE as error:
        raise RunError(
            f"{path} is damaged, or of a kind that cannot be read "
            f"({type(error).__name__}: {error}). {_WAY_OUT}"
        ) from error


def _read(path: Path, config: dict[str, Any]) -> Subject:
    networks = list(find_networks(config))
    with zipfile.ZipFile(path) as archive:
        # A weight has at least one byte.
        most_weights = _bytes_of_weights(archive)
    from_x, encoder = _encoder(networks, most_weights)
    latent_dim = encoder.outputs[0].shape[-1]
    from_z = decoder_of(networks, from_x, latent_dim)
    decoder = rebuild(from_z.network, from_z.z, (latent_dim,), [from_z.x], most_weights)
    with (
        zipfile.ZipFile(path) as archive,
        archive.open(_WEIGHTS) as content,
        h5py.File(content) as weights,
    ):
        load_weights(encoder, from_x.network.name, weights)
        load_weights(decoder, from_z.network.name, weights)
        training_steps = read_training_steps(weights)
    likelihood, reason = _likelihood(config, decoder)
    origin = {
        "encoder": str(from_x),
        "decoder": str(from_z),
        "p(x|z)": f"{likelihood}, because {reason}" if likelihood else "",
        "left out": ", ".join(_left_out(networks, from_x, from_z)),
    }
    return subject_of_networks(
        name=f"{config['class_name']} of {path.name}, read without its code,",
        encoder=encoder,
        decoder=decoder,
        likelihood=likelihood,
        training_steps=training_steps,
        origin={part: what for part, what in origin.items() if what},
    )


def _bytes_of_weights(archive: zipfile.ZipFile) -> int:
    weights = archive.getinfo(_WEIGHTS)
    if weights.file_size > _LARGEST_EXPANSION * weights.compress_size:
        raise RunError(
            f"Expected weights that are stored as they are, as Keras does, received "
            f"{weights.compress_size} bytes that expand to {weights.file_size}."
        )
    return weights.file_size


def _encoder(networks: list[Network], most_weights: int) -> tuple[Encoder, keras.Model]:
    """The encoder: the network that is called so, or the only one that gives mu and log_var."""
    found, refused = [], []
    for network in networks:
        for place in encoders_in(network):
            try:
                found.append((place, _to_parameters(place, most_weights)))
                break
            except CodeNeededError as error:
                refused.append(error)
    called = [one for one in found if one[0].network.is_called("encoder")]
    found = called or found
    if refused and not found:
        raise refused[0]
    if len(found) != 1:
        raise RunError(
            "Expected one encoder, a network that gives mu and log_var or has layers of these "
            f"names (z_mean and z_log_var will do), found {len(found)} in {len(networks)} "
            "network(s). A network that a class makes for itself is in the file only where its "
            "get_config gives it."
        )
    return found[0]


def _to_parameters(place: Encoder, most_weights: int) -> keras.Model:
    wanted = [place.mu, place.log_var]
    given = set().union(*(place.network.starts(output, stops=()) for output in wanted))
    if len(given) != 1:
        raise RunError(
            f"Expected an encoder that takes x alone, received {place.network.name!r}, which "
            f"takes {len(given)} tensors."
        )
    x = given.pop()
    shape = place.network.shape(x)[1:]
    encoder = rebuild(place.network, x, shape, wanted, most_weights)
    shapes = [tensor.shape for tensor in encoder.outputs]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise RunError(
            f"Expected mu and log_var of one shape (n, latent_dim), received {shapes[0]} and "
            f"{shapes[1]} from {place.network.name!r}."
        )
    return encoder


def _likelihood(config: dict[str, Any], decoder: keras.Model) -> tuple[str | None, str]:
    """What the decoder's output means, and how that is known: by the loss, else by a sigmoid."""
    loss = (config.get("compile_config") or {}).get("loss")
    if loss is None:
        sigmoid = ends_in_sigmoid(decoder)
        return (PROBABILITIES, "the decoder ends in a sigmoid") if sigmoid else (None, "")
    # Of a class by its name and its options, of a function by its name alone; several have none.
    described = loss.get("config") if isinstance(loss, dict) else loss
    options = described if isinstance(described, dict) else {}
    said = loss.get("class_name") if options else described
    if not isinstance(said, str):
        return None, ""
    name = str(said).replace("_", "").lower()
    likelihood = None
    if name in _CROSS_ENTROPY:
        likelihood = LOGITS if options.get("from_logits") else PROBABILITIES
    elif name in _SQUARED_ERROR:
        likelihood = GAUSSIAN
    return likelihood, f"the loss is {said}"


def _left_out(networks: list[Network], from_x: Encoder, from_z: Decoder) -> list[str]:
    """The layers of the encoder's and the decoder's networks, and of those around, that are in
    neither.
    """
    used = {
        (from_x.network.path, output.layer)
        for output in from_x.network.calls_before([from_x.mu, from_x.log_var], given=())
    } | {
        (from_z.network.path, output.layer)
        for output in from_z.network.calls_before([from_z.x], given=[from_z.z])
    }
    ends = (from_x.network, from_z.network)
    around = [
        network
        for network in networks
        if any(network is end or end.is_within(network) for end in ends)
    ]
    inner = {(network.path, network.layer_of(other)) for network in around for other in around}
    return [
        f"{name} ({entry['class_name']})"
        for network in around
        for name, entry in network.layers.items()
        if entry["class_name"] != "InputLayer" and (network.path, name) not in used | inner
    ]
