"""NumPy files: .npz with x_train and its kin, or one array in an .npz or .npy."""

from pathlib import Path

import numpy as np

from kelbo.data.checks import checked_images, checked_labels, checked_vectors
from kelbo.data.dataset import Dataset
from kelbo.data.description import Kind
from kelbo.data.split import split
from kelbo.errors import DataError, unknown_name
from kelbo.unpacking import UNREADABLE, read_arrays


def from_arrays(
    x_train: np.ndarray,
    x_test: np.ndarray | None = None,
    y_train: np.ndarray | None = None,
    y_test: np.ndarray | None = None,
    *,
    name: str = "arrays",
    source: str = "arrays in memory",
    licence: str = "",
    label_names: tuple[str, ...] | None = None,
    seed: int = 0,
    kind: Kind = "image",
) -> Dataset:
    """A data set from arrays in memory, scaled and checked as `kelbo.data.checks` says.

    Args:
        x_train: images (n, height, width) or (n, height, width, channels), uint8, bool or float in
            [0, 1]; or vectors (n, features) of real numbers, which are taken as they are.
        x_test: likewise; without it the last tenth of a seeded permutation of the training data
            becomes the test part.
        y_train: integers (n,) or (n, 1), or None.
        y_test: likewise.
        name: a short name for the data set.
        source: where the arrays come from.
        licence: the terms that they are under.
        label_names: the name of each label.
        seed: of the split.
        kind: "image" or "vector".

    Raises:
        DataError: the arrays are not of that kind, or do not fit together.
        UsageError: there is no such kind.
    """
    checks = {"image": checked_images, "vector": checked_vectors}
    if kind not in checks:
        raise unknown_name("kind of arrays", kind, checks)
    checked = checks[kind]
    train = checked(x_train, "x_train")
    train_labels = checked_labels(y_train, len(train), "y_train")
    if x_test is None:
        if y_test is not None:
            raise DataError("Found y_test without x_test. Add the test data, or leave it out.")
        train_indices, test_indices = split(len(train), seed)
        test, train = train[test_indices], train[train_indices]
        test_labels = None if train_labels is None else train_labels[test_indices]
        train_labels = None if train_labels is None else train_labels[train_indices]
    else:
        test = checked(x_test, "x_test")
        test_labels = checked_labels(y_test, len(test), "y_test")
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"Expected training and test data of one shape, found {kind}s of {train.shape[1:]} "
            f"and {test.shape[1:]}."
        )
    return Dataset(
        name, train, test, train_labels, test_labels, label_names, source, licence, kind=kind
    )


def load_arrays(path: Path, seed: int = 0) -> Dataset:
    """Read an .npz or .npy file.

    An .npz holds `x_train`, and optionally `x_test`, `y_train` and `y_test`; or one array under
    any name.

    Raises:
        DataError: the file is damaged, declares more than it holds, holds Python objects, or its
            arrays are not images.
    """
    stored = _read(path)
    if len(stored) == 1:
        stored = {"x_train": next(iter(stored.values()))}
    if "x_train" not in stored:
        raise DataError(
            f"Expected {path} to hold x_train (and x_test, y_train, y_test if there are any) or a "
            f"single array, found {', '.join(sorted(stored)) or 'nothing'}."
        )
    try:
        return from_arrays(
            stored["x_train"],
            stored.get("x_test"),
            stored.get("y_train"),
            stored.get("y_test"),
            name=path.stem,
            source=str(path),
            seed=seed,
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, np.ndarray]:
    """Every array of the file, by name; the one of an .npy is called x_train."""
    try:
        # Without a look at the first bytes NumPy takes any file for a pickle.
        with path.open("rb") as stream:
            if not stream.read(6).startswith((b"\x93NUMPY", b"PK")):
                raise DataError(f"{path} is not a NumPy file. Write it with np.savez or np.save.")
        stored = read_arrays(path)
    except DataError:
        raise
    except UNREADABLE as error:
        if "Python objects" in str(error):
            raise DataError(
                f"{path} holds Python objects, which could run any code when loaded and are never "
                "read. Often images of several sizes are the reason: bring them to one size, stack "
                "them with np.stack and save again."
            ) from error
        raise DataError(f"{path} cannot be read ({error}). Save or copy it again.") from error
    return stored if isinstance(stored, dict) else {"x_train": stored}
