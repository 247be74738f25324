"""What of a file needs code that is neither Keras's nor kelbo's."""

from collections.abc import Mapping
from typing import Any

from kelbo.model_file import find_class, find_code


class CodeNeededError(Exception):
    """A layer cannot be made of what the file holds: which one, and what is missing."""


def needed_code(entry: Mapping[str, Any]) -> str | None:
    """Why a layer cannot be made of its configuration without more code, or None."""
    needed = find_code(entry) or find_class(entry)
    return None if needed is None else f"{in_words(entry)} needs {needed}"


def in_words(entry: Mapping[str, Any]) -> str:
    """A layer by its name and class."""
    return f"the layer {entry['name']!r} ({entry['class_name']})"
