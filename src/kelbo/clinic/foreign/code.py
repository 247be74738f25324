"""Find the layers in a file that need code beside Keras's and kelbo's."""

from collections.abc import Mapping
from typing import Any

from kelbo.model_file import find_class, find_code


class CodeNeededError(Exception):
    """The file alone cannot make a layer: the message has its name and what is missing."""


def needed_code(entry: Mapping[str, Any]) -> str | None:
    """The reason why a layer's configuration needs more code; None if it does not."""
    needed = find_code(entry) or find_class(entry)
    return None if needed is None else f"{in_words(entry)} needs {needed}"


def in_words(entry: Mapping[str, Any]) -> str:
    """The name and the class of a layer, for a sentence."""
    return f"the layer {entry['name']!r} ({entry['class_name']})"
