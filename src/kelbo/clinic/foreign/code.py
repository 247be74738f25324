"""What of a file needs code that is neither Keras's nor kelbo's."""

from collections.abc import Mapping
from typing import Any

import keras

from kelbo.loading import find_code


class CodeNeededError(Exception):
    """A layer cannot be made of what the file holds: which one, and what is missing."""


def needed_code(entry: Mapping[str, Any]) -> str | None:
    """Why a layer cannot be made of its configuration without more code, or None."""
    needed = find_code(entry) or _find_class(entry)
    return None if needed is None else f"{in_words(entry)} needs {needed}"


def in_words(entry: Mapping[str, Any]) -> str:
    """A layer by its name and class."""
    return f"the layer {entry['name']!r} ({entry['class_name']})"


def _find_class(config: Any) -> str | None:
    """The first class or function in a configuration that is not one of Keras's or of kelbo's.

    Whether this process knows the class does not count, so that a file is read alike everywhere.
    """
    if isinstance(config, list):
        return next((code for value in config if (code := _find_class(value))), None)
    if not isinstance(config, dict):
        return None
    name, registered = config.get("class_name"), str(config.get("registered_name"))
    if name == "function":
        # Keras looks up a function by its name, whatever it is registered as.
        name = registered = str(config.get("config"))
    # Keras would import some modules by their names in the file, and take what anybody registers.
    package = str(config.get("module")).partition(".")[0]
    of_keras = package in ("builtins", "keras") and ">" not in registered
    # A class of the program that was run has no module, but a name that it is registered by.
    of_keras |= package == "None" and config.get("registered_name") is None
    of_kelbo = registered.startswith("kelbo>") and keras.saving.get_registered_object(registered)
    if of_keras or of_kelbo:
        return _find_class(list(config.values()))
    kind = "function" if config.get("class_name") == "function" else "class"
    return f"the code of the {kind} {name}, which is not in the file"
