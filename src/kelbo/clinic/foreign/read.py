"""Read a .keras file for a diagnosis."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kelbo.clinic.anatomy.find_decoder import Decoder, find_decoder
from kelbo.clinic.anatomy.find_encoder import Encoder, find_encoder
from kelbo.clinic.anatomy.last_step import ends_in_sigmoid
from kelbo.clinic.anatomy.roles import RoleError, Roles
from kelbo.clinic.diagnosis.find_subject import subject_of, subject_of_networks
from kelbo.clinic.diagnosis.meanings import GAUSSIAN, LOGITS, PROBABILITIES
from kelbo.clinic.diagnosis.subject import Subject
from kelbo.clinic.foreign.code import CodeNeededError
from kelbo.clinic.foreign.configuration import FileNetwork, find_networks
from kelbo.clinic.foreign.rebuild import rebuild
from kelbo.clinic.foreign.weights import load_weights, read_training_steps
from kelbo.clinic.foreign.whole import HiddenLossError, make_whole, parts_of_whole
from kelbo.errors import RunError, UsageError
from kelbo.loading import load_model
from kelbo.model_file import SAVE_AGAIN, TooManyWeightsError, open_weights, read_config
from kelbo.unpacking import UNREADABLE

_WAY_OUT = (
    "In the program that has the model's code: kelbo.diagnose(model, x), or "
    "kelbo.diagnose(model, x, encoder=..., decoder=...)."
)
_SAY = (
    "Name the layers: kelbo.read_model(path, mu=..., log_var=..., decoder=...), or --role "
    f"mu=NAME --role log_var=NAME of kelbo doctor. If the layer gives another parameter, say "
    f"log_sigma, sigma or var in place of log_var; encoder and z can be named, too. {_WAY_OUT}"
)
# The names of Keras's losses, functions and classes alike, without underscores and in lower case.
_CROSS_ENTROPY = ("binarycrossentropy", "bce")
_SQUARED_ERROR = ("meansquarederror", "mse")


def read_model(path: str | Path, **roles: str) -> Subject:
    """Read a .keras file for a diagnosis: a model of kelbo's, or any VAE without its code.

    A VAE that is not kelbo's is read as two networks with their weights: `encoder`, from x to mu
    and log_var, and `decoder`, from z to x. They consist of Keras's own layers; a layer of another
    class, such as a Sampling layer, may only come after mu and log_var. Nothing in the file is run,
    and no module that it names is imported.

    Args:
        path: the path of the file.
        **roles: the names of layers, needed only if names and structure do not tell: `mu` and one
            of `log_var` (log sigma^2), `log_sigma`, `sigma` and `var` (sigma^2); `encoder` and
            `decoder`, networks; `z`, the layer that draws z in a network with both encoder and
            decoder. An example: read_model("vae.keras", mu="dense_3", log_sigma="dense_4").

    Returns:
        A subject, which `kelbo.diagnose` takes in place of a model. Its `origin` says what was
        taken for encoder and decoder, what was left out, and what the decoder's output means.

    Raises:
        RunError: there is no such file, it is damaged, or it does not tell enough.
        UsageError: there is no such role, or roles are given for a model of kelbo's.
    """
    path = Path(path)
    told = Roles.of(roles)
    config = read_config(path)
    if str(config.get("registered_name")).startswith("kelbo>"):
        if roles:
            raise UsageError(f"{path} is a model of kelbo's, which knows its roles: name none.")
        return subject_of(load_model(path))
    try:
        return _read(path, config, told)
    except RoleError as error:
        raise RunError(f"{path}: {error} {_SAY}") from error
    except CodeNeededError as error:
        raise RunError(f"{path}: {error}. {_WAY_OUT}") from error
    except (RunError, UsageError) as error:
        raise RunError(f"{path}: {error} {_WAY_OUT}") from error
    except TooManyWeightsError as error:
        raise RunError(f"{path} is refused: {error}. {SAVE_AGAIN}") from error
    except (AttributeError, IndexError, *UNREADABLE) as error:
        raise RunError(
            f"{path} is damaged, or of a kind that cannot be read "
            f"({type(error).__name__}: {error}). {_WAY_OUT}"
        ) from error


def _read(path: Path, config: dict[str, Any], told: Roles) -> Subject:
    networks = list(find_networks(config))
    with open_weights(path) as (weights, most_weights):
        from_x, encoder = _encoder(networks, told, most_weights)
        from_z = find_decoder(networks, from_x, from_x.latent_shape(encoder), told)
        decoder = rebuild(from_z.network, [from_z.z, *from_z.conditions], [from_z.x], most_weights)
        load_weights(encoder, from_x.network, weights)
        load_weights(decoder, from_z.network, weights)
        training_steps = read_training_steps(weights)
        try:
            model = make_whole(config, networks, weights, most_weights)
            encoder, decoder = parts_of_whole(model, told, encoder, decoder)
            hidden = ""
        except HiddenLossError as error:
            model, hidden = None, str(error)
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
        posterior=from_x.parameters,
        likelihood=likelihood,
        training_steps=training_steps,
        model=model,
        hidden_loss=hidden,
        origin={part: what for part, what in origin.items() if what},
    )


def _encoder(
    networks: Sequence[FileNetwork], told: Roles, most_weights: int
) -> tuple[Encoder[FileNetwork], keras.Model]:
    """The first candidate for the encoder that can be built from the file alone."""
    refused = None
    for place in find_encoder(networks, told):
        try:
            return place, rebuild(place.network, place.inputs, place.wanted, most_weights)
        except CodeNeededError as error:
            refused = refused or error
    raise refused or RoleError("There is no encoder.")


def _likelihood(config: dict[str, Any], decoder: keras.Model) -> tuple[str | None, str]:
    """The meaning of the decoder's output, and the reason: the loss, else a sigmoid at its end."""
    loss = (config.get("compile_config") or {}).get("loss")
    if loss is None:
        sigmoid = ends_in_sigmoid(decoder)
        return (PROBABILITIES, "the decoder ends in a sigmoid") if sigmoid else (None, "")
    # A class has a name and options, a function a name alone; several losses have neither.
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


def _left_out(
    networks: Sequence[FileNetwork], from_x: Encoder[FileNetwork], from_z: Decoder[FileNetwork]
) -> list[str]:
    """The unused layers in the networks of encoder and decoder, and in those around them."""
    used = {
        (from_x.network.path, output.layer) for output in from_x.network.calls_before(from_x.wanted)
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
