"""One entry to every data set: by name, from a file, from a folder."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kelbo.data.arrays import load_arrays
from kelbo.data.binarization import check_binarization, check_seed
from kelbo.data.cache import Watcher, default_place
from kelbo.data.dataset import Dataset
from kelbo.data.folder import load_folder
from kelbo.data.idx import is_idx_folder, load_idx
from kelbo.data.keras_datasets import KERAS_DATASETS, load_keras_dataset
from kelbo.data.mnist import load_mnist
from kelbo.data.part import Part
from kelbo.data.resize import resized, with_channels
from kelbo.errors import DataError, UsageError, unknown_name

logger = logging.getLogger("kelbo")

# Name -> what loads the data set.
NAMED: dict[str, Callable[[], Dataset]] = {
    "mnist": load_mnist,
    **{name: partial(load_keras_dataset, name) for name in KERAS_DATASETS},
}


def load(
    source: str | Path,
    *,
    binarization: str = "none",
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
    strict: bool = False,
    train_limit: int | None = None,
    test_limit: int | None = None,
    cache: bool | str | Path = False,
    watcher: Watcher | None = None,
) -> Dataset:
    """Load a data set.

    Args:
        source: a name in `NAMED`; an .npz or .npy file; a folder of IDX files; or a folder of PNG
            and JPEG images. A folder that is called like a named set: "./mnist", or a `Path`.
        binarization: one of `kelbo.data.BINARIZATIONS`.
        image_size: (height, width) in pixels that every image is scaled and cropped to.
        channels: 1 to turn all images to grey, 3 to colour; None leaves them as they are.
        seed: of the split, where the source has no test part, and of the draws made once.
        strict: raise for a damaged image file, which is otherwise left out with a warning.
        train_limit: keep only the first n training images, for a quick trial.
        test_limit: keep only the first n test images.
        cache: decode a folder of images once, into a file that is mapped into memory from then on
            (`kelbo.data.cache`): True for the user's cache directory, or the folder to keep it in.
            What is held in memory anyway needs none.
        watcher: is told what happens to the cache.

    Raises:
        UsageError: there is no such name, file or folder, or an argument is out of range.
        DataError: the source does not hold images as they are expected, or the cache cannot be
            written.
    """
    check_binarization(binarization)
    check_seed(seed)
    _check_numbers(image_size, channels, train_limit, test_limit)
    if isinstance(source, str) and source in NAMED:
        data = NAMED[source]()
    else:
        path = _existing(source)
        if not path.is_dir():
            data = _load_file(path, seed)
        elif is_idx_folder(path):
            data = load_idx(path, seed)
        else:
            data = load_folder(
                path,
                image_size=image_size,
                channels=channels,
                seed=seed,
                strict=strict,
                train_limit=train_limit,
                test_limit=test_limit,
                cache=_place(cache),
                watcher=watcher,
            )
    if cache and isinstance(data.train, np.ndarray):
        logger.warning("%s is held in memory, where a cache has nothing to do.", data.name)
    data = dataclasses.replace(
        data,
        train=_prepared(data.train, image_size, channels, train_limit),
        test=_prepared(data.test, image_size, channels, test_limit),
        train_labels=None if data.train_labels is None else data.train_labels[:train_limit],
        test_labels=None if data.test_labels is None else data.test_labels[:test_limit],
    )
    return data.binarized(binarization, seed)


def _existing(source: str | Path) -> Path:
    if source == "":
        # As a path it would mean the current folder.
        raise UsageError("Expected a data set's name, a file or a folder, received nothing.")
    path = Path(source).expanduser()
    if path.exists():
        return path
    if isinstance(source, Path) or path.suffix or len(path.parts) > 1:
        raise UsageError(
            f"There is no file or folder {path}. Looked for {path.absolute()}; a data set can "
            f"also be named: {', '.join(NAMED)}."
        )
    error = unknown_name("data set", source, NAMED)
    raise UsageError(f"{error} A file or folder of images must exist: no {path.absolute()}.")


def _place(cache: bool | str | Path) -> Path | None:
    if isinstance(cache, bool):
        return default_place() if cache else None
    return Path(cache).expanduser().absolute()


def _load_file(path: Path, seed: int) -> Dataset:
    if path.suffix.lower() in (".npz", ".npy"):
        return load_arrays(path, seed)
    raise DataError(
        f"Expected an .npz or .npy file or a folder, found {path}. "
        "Images and IDX files: give the folder that holds them."
    )


def _prepared(
    images: Part, image_size: tuple[int, int] | None, channels: int | None, limit: int | None
) -> Part:
    if not isinstance(images, np.ndarray):
        return images  # `load_folder` has done all this without reading the pixels.
    images = images[:limit]
    if channels is not None:
        images = with_channels(images, channels)
    return images if image_size is None else resized(images, image_size)


def _check_numbers(
    image_size: tuple[int, int] | None,
    channels: int | None,
    train_limit: int | None,
    test_limit: int | None,
) -> None:
    if image_size is not None and not _is_size(image_size):
        raise UsageError(
            "An image size is a height and a width in pixels, two whole numbers of at least 1 as "
            f"(64, 64), not {image_size!r}."
        )
    if channels not in (None, 1, 3):
        raise UsageError(f"Images have 1 channel (grey) or 3 (colour), not {channels}.")
    for limit in (train_limit, test_limit):
        if limit is not None and limit < 1:
            raise UsageError(f"A limit keeps at least 1 image, not {limit}.")


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(side, (int, np.integer)) and side >= 1 for side in value)
    )
