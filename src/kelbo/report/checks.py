"""Whether the figures and arrays of a run are what the report shows.

A file can be sound JSON or NumPy and still hold text where a number belongs, or one array without
the one that it goes with, when it was written by hand or copied from another run. Every check
raises a ValueError that says what was expected and what was found.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kelbo.evaluation import figures
from kelbo.evaluation.figure import FLOORS, is_number

# What goes together: without the second, the first cannot be shown.
_COMPANIONS = (
    ("originals", "reconstructions"),
    ("reconstructions", "originals"),
    ("traversals", "traversal_dimensions"),
    ("traversals", "traversal_values"),
    ("latent_labels", "latent_means"),
)


def check_metrics(metrics: Mapping[str, Sequence[float]]) -> None:
    """Check the columns of metrics.csv."""
    epochs = metrics.get("epoch")
    if epochs is None:
        raise ValueError("it has no column 'epoch'")
    if not all(math.isfinite(epoch) for epoch in epochs):
        raise ValueError(f"expected the numbers of the epochs, found {list(epochs)}")


def check_evaluation(evaluation: Mapping[str, Any]) -> None:
    """Check the figures of evaluation.json, those of other versions of kelbo too."""
    figures.check(evaluation)
    for name, value in (evaluation.get(FLOORS) or {}).items():
        _expect(is_number(value), name, "a number", value)
    unit = evaluation.get("unit", "")
    _expect(isinstance(unit, str), "unit", "text", unit)
    notes = evaluation.get("notes", [])
    texts = isinstance(notes, list) and all(isinstance(note, str) for note in notes)
    _expect(texts, "notes", "a list of text", notes)


def check_arrays(arrays: Mapping[str, np.ndarray], latent_dim: int | None) -> None:
    """Check the arrays of arrays.npz.

    Args:
        arrays: by name, as `kelbo.evaluation.pictures` makes them.
        latent_dim: how many latent dimensions the evaluation knows of, or None.
    """
    for first, second in _COMPANIONS:
        if first in arrays and second not in arrays:
            raise ValueError(f"it holds {first} without {second}")
    for name in ("originals", "reconstructions", "samples"):
        if name in arrays:
            _check_images(arrays[name], name, ndim=4)
    if "reconstructions" in arrays:
        expected = arrays["originals"].shape
        _expect_shape(arrays["reconstructions"], "reconstructions", expected)
    if "traversals" in arrays:
        _check_images(arrays["traversals"], "traversals", ndim=5)
        rows, steps = arrays["traversals"].shape[:2]
        dimensions = arrays["traversal_dimensions"]
        _check_kind(dimensions, "traversal_dimensions", "iu", (rows,))
        _check_kind(arrays["traversal_values"], "traversal_values", "f", (steps,))
        if latent_dim is not None and not np.isin(dimensions, np.arange(latent_dim)).all():
            raise ValueError(
                f"expected traversal_dimensions below {latent_dim}, the latent dimensions of the "
                f"evaluation, found {dimensions.tolist()}"
            )
    if "latent_means" in arrays:
        means = arrays["latent_means"]
        if means.ndim != 2 or means.size == 0:
            raise ValueError(f"expected latent_means of shape (m, d), found {means.shape}")
        _check_kind(means, "latent_means", "f", means.shape)
        if "latent_labels" in arrays:
            _check_kind(arrays["latent_labels"], "latent_labels", "iu", means.shape[:1])
    if "label_names" in arrays:
        _check_kind(arrays["label_names"], "label_names", "U", arrays["label_names"].shape[:1])


def _check_images(images: np.ndarray, name: str, ndim: int) -> None:
    if images.ndim != ndim or images.shape[-1] not in (1, 3) or images.size == 0:
        raise ValueError(
            f"expected {name} with {ndim} axes, the last of 1 or 3 channels, found {images.shape}"
        )
    _check_kind(images, name, "f", images.shape)


_KINDS = {"f": "floats", "iu": "whole numbers", "U": "text"}


def _check_kind(array: np.ndarray, name: str, kinds: str, shape: tuple[int, ...]) -> None:
    if array.dtype.kind not in kinds:
        raise ValueError(f"expected {name} to be {_KINDS[kinds]}, found {array.dtype}")
    _expect_shape(array, name, shape)


def _expect_shape(array: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"expected {name} of shape {shape}, found {array.shape}")


def _expect(fits: bool, name: str, expected: str, found: Any) -> None:
    if not fits:
        raise ValueError(f"expected {name} to be {expected}, found {str(found)[:100]}")
