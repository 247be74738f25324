"""The weights of a .keras file, into a network that was made of a part of it.

In model.weights.h5 every layer is a group, wherever the model had it, with its name written on it:

    encoder/vars                        name: "encoder"
    encoder/layers/dense_1/vars         name: "z_mean"
    encoder/layers/dense_1/vars/0       the kernel
"""

import tempfile
import warnings
from pathlib import Path

import h5py
import keras

from kelbo.errors import RunError


def load_weights(network: keras.Model, name: str, file: h5py.File) -> None:
    """Load the weights of all layers of a network.

    Each layer's group is put in the place where this Keras expects it, and Keras loads them.

    Args:
        network: its layers have the names of those in the file.
        name: of the network in the file that they belong to.
        file: the file's model.weights.h5.

    Raises:
        RunError: a layer has no weights there, or others than it takes.
    """
    places = [group for group in _groups(file) if "layers" in _held(group) and _name(group) == name]
    if len(places) != 1:
        raise RunError(
            f"Expected one place with the weights of the network {name!r}, found {len(places)}. "
            "Files are read that Keras 3.6 or newer has saved, and in which no two networks have "
            "one name."
        )
    layers = _held(places[0])["layers"]
    saved = {_name(group): group for group in _held(layers).values()}
    missing = [
        layer.name for layer in network.layers if layer.variables and layer.name not in saved
    ]
    if missing:
        raise RunError(f"There are no weights of the layer {missing[0]!r} of {name!r}.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        network.save_weights(path)
        with h5py.File(path, "r+") as expected:
            for place, group in list(expected["layers"].items()):
                layer = _name(group)
                if layer is not None and layer in saved:
                    _check(layer, saved[layer], group)
                    del expected["layers"][place]
                    file.copy(saved[layer], expected["layers"], name=place)
        with warnings.catch_warnings():
            # Keras would leave weights that the file lacks at their first random values.
            warnings.filterwarnings("error", message="Skipping nested container")
            network.load_weights(path)


def read_training_steps(file: h5py.File) -> int | None:
    """How many steps the optimiser has taken: its first variable. None where it is not there."""
    name = "optimizer/vars/0"
    return int(file[name][()]) or None if _shapes(file).get(name) == () else None


def _check(layer: str, saved: h5py.Group, expected: h5py.Group) -> None:
    """Check that a layer has all the weights that it needs, and each in its shape."""
    found = _shapes(saved)
    for weight, shape in _shapes(expected).items():
        if found.get(weight) != shape:
            raise RunError(
                f"The weights of the layer {layer!r} do not fit: expected {shape} as {weight}, "
                f"found {found.get(weight, 'none')}."
            )


def _shapes(group: h5py.Group) -> dict[str, tuple[int, ...]]:
    """The shape of each weight in a group; of those that are in this file and in no other."""
    shapes = {}

    def note(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual:
            shapes[name] = item.shape

    group.visititems(note)
    return shapes


def _groups(file: h5py.File) -> list[h5py.Group]:
    """Every group; links to other files are not followed."""
    groups = [file]
    file.visititems(lambda _, item: groups.append(item) if isinstance(item, h5py.Group) else None)
    return groups


def _held(group: h5py.HLObject) -> dict[str, h5py.HLObject]:
    """What a group itself holds, by its name; a link to another place or file is not followed."""
    if not isinstance(group, h5py.Group):
        return {}
    links = group.id.links
    # Not group.get(name, getlink=True), which opens the other file.
    hard = [name for name in group if links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD]
    return {name: group[name] for name in hard}


def _name(group: h5py.HLObject) -> str | None:
    """The name of the layer whose group it is."""
    variables = _held(group).get("vars")
    name = None if variables is None else variables.attrs.get("name")
    return name if isinstance(name, str) else None
