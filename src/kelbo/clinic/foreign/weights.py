"""Load the weights of a .keras file into a network that was rebuilt from a part of it.

In model.weights.h5 every layer has a group, with the name of the layer as an attribute:

    encoder/vars                        name: "encoder"
    encoder/layers/dense_1/vars         name: "z_mean"
    encoder/layers/dense_1/vars/0       the kernel
"""

import re
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import h5py
import keras

from kelbo.clinic.foreign.configuration import FileNetwork
from kelbo.errors import RunError


def load_weights(part: keras.Model, network: FileNetwork, file: h5py.File) -> None:
    """Load the weights of all layers of a part of a network.

    Each layer's group is copied to where this version of Keras expects it, and Keras loads them.

    Args:
        part: the rebuilt part; its layers have the names of those in the file.
        network: the network in the file that the part belongs to.
        file: the file's model.weights.h5, as `kelbo.model_file.open_weights` gives it.

    Raises:
        RunError: the file has no weights for a layer, or weights of other shapes.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        part.save_weights(path)
        with h5py.File(path, "r+") as expected:
            places = {_name(group): place for place, group in _layers(expected).items()}
            with_weights = [layer.name for layer in part.layers if layer.variables]
            wanted = {name: expected["layers"][places[name]] for name in with_weights}
            saved = _saved_layers(wanted, network, file)
            for name, group in wanted.items():
                if name not in saved:
                    raise RunError(
                        f"There are no weights of the layer {name!r} of {network.name!r}."
                    )
                _check(name, saved[name], group)
                del expected["layers"][places[name]]
                file.copy(saved[name], expected["layers"], name=places[name])
        with warnings.catch_warnings():
            # Keras would leave weights that the file lacks at their first random values.
            warnings.filterwarnings("error", message="Skipping nested container")
            part.load_weights(path)


def _saved_layers(
    wanted: dict[str, h5py.Group], network: FileNetwork, file: h5py.File
) -> dict[str, h5py.Group]:
    """The groups of a network's layers in a file, by the names of the layers.

    Keras before 3.6 wrote no names. There a layer is known by its class and the number of layers of
    that class before it, and a network by its layers.
    """
    groups = _groups(file)
    places = [group for group in groups if "layers" in _held(group)]
    if any(_name(group) is not None for group in groups):
        saved = [
            {name: group for group in _layers(place).values() if (name := _name(group))}
            for place in places
            if _name(place) == network.name
        ]
    else:
        names = _places_of_layers(network)
        fitting = {}
        for place in places:
            layers = _layers(place)
            known = {name: layers[at] for name, at in names.items() if at in layers}
            if _fit(wanted, known):
                fitting[place.name] = known
        called = [place for place in fitting if network.is_called(place.rpartition("/")[2])]
        saved = [fitting[place] for place in called or fitting]
    if len(saved) != 1:
        raise RunError(
            f"Expected one place with the weights of the network {network.name!r}, found "
            f"{len(saved)}. Files are read in which no two networks have one name or, where Keras "
            "was older than 3.6, the same layers."
        )
    return saved[0]


def _places_of_layers(network: FileNetwork) -> dict[str, str]:
    """The name of each layer -> the name of its group, which Keras derives from the classes."""
    places: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for name, entry in network.layers.items():
        kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", entry["class_name"]))
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()
        places[name] = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
    return places


def _fit(wanted: dict[str, h5py.Group], saved: dict[str, h5py.Group]) -> bool:
    """Whether each layer has a group with all its weights, in their shapes."""
    return all(
        name in saved and _shapes(group).items() <= _shapes(saved[name]).items()
        for name, group in wanted.items()
    )


def _layers(place: h5py.Group) -> dict[str, h5py.HLObject]:
    """The groups of a network's layers."""
    return _held(_held(place)["layers"])


def read_training_steps(file: h5py.File) -> int | None:
    """The number of steps that the optimiser has taken, its first variable; None without one."""
    name = "optimizer/vars/0"
    return int(file[name][()]) or None if _shapes(file).get(name) == () else None


def _check(layer: str, saved: h5py.Group, expected: h5py.Group) -> None:
    """Check that a group has all the weights of a layer, in their shapes."""
    found = _shapes(saved)
    for weight, shape in _shapes(expected).items():
        if found.get(weight) != shape:
            raise RunError(
                f"The weights of the layer {layer!r} do not fit: expected {shape} as {weight}, "
                f"found {found.get(weight, 'none')}."
            )


def _shapes(group: h5py.Group) -> dict[str, tuple[int, ...]]:
    """The shape of each weight in a group."""
    shapes = {}

    def note(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape

    group.visititems(note)
    return shapes


def _groups(file: h5py.File) -> list[h5py.Group]:
    """Every group of a file; links to other files are not followed."""
    groups = [file]
    file.visititems(lambda _, item: groups.append(item) if isinstance(item, h5py.Group) else None)
    return groups


def _held(group: h5py.HLObject) -> dict[str, h5py.HLObject]:
    """The members of a group, by name; links to other places or files are not followed."""
    if not isinstance(group, h5py.Group):
        return {}
    links = group.id.links
    # Not group.get(name, getlink=True), which opens the other file.
    hard = [name for name in group if links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD]
    return {name: group[name] for name in hard}


def _name(group: h5py.HLObject) -> str | None:
    """The name of the layer that a group belongs to; None if the group has none."""
    variables = _held(group).get("vars")
    name = None if variables is None else variables.attrs.get("name")
    return name if isinstance(name, str) else None
