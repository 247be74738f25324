"""A folder of images, nested as it may be, read from disk batch by batch.

Every file is decoded once when the folder is loaded (`image_file.inspect`), so that a damaged one
is found then and not in the middle of a training; no pixels are kept. The order within a part is
a seeded permutation: the first images are a fair sample whatever the files are called.
"""

import itertools
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from kelbo.data.dataset import Dataset, Indices
from kelbo.data.image_file import SUFFIXES, UNREADABLE, decode, inspect
from kelbo.data.split import split
from kelbo.errors import DataError

logger = logging.getLogger("kelbo")

_CHUNK = 256  # files inspected between two looks at the limit
_NAMED = 5  # damaged files named in one warning


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images that stay on disk: one part of a data set, read by index.

    Attributes:
        paths: the files, in the order of the part.
        shape: (height, width, channels) of every image once read.
        resize: whether files of other sizes are scaled and cropped to `shape`.
    """

    paths: tuple[str, ...]
    shape: tuple[int, int, int]
    resize: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: Indices) -> np.ndarray:
        """Decode the images at `indices`: float32 (n, height, width, channels) in [0, 1].

        Raises:
            DataError: a file was changed or removed since the folder was loaded.
        """
        return np.stack([self._decode(index) for index in indices])

    def _decode(self, index: int) -> np.ndarray:
        path = self.paths[index]
        height, width, channels = self.shape
        try:
            image = decode(path, channels, (height, width) if self.resize else None)
        except UNREADABLE as error:
            raise DataError(
                f"{path} could be read when the folder was loaded and now cannot ({error}). "
                "Restore the file and repeat the training."
            ) from error
        if image.shape != self.shape:
            raise DataError(
                f"{path} has become {image.shape[0]} x {image.shape[1]} pixels since the folder "
                f"was loaded; expected {height} x {width}. Restore it and repeat the training."
            )
        return image


def load_folder(
    root: Path,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
    strict: bool = False,
    train_limit: int | None = None,
    test_limit: int | None = None,
) -> Dataset:
    """Find, check and split the PNG and JPEG files under `root`.

    Subfolders `train` and `test`, when both exist, are the parts and nothing else is read;
    otherwise a seeded tenth of the images becomes the test part. The first level of subfolders
    gives the labels, numbered in the order of their names; there are none when an image lies
    outside of such a subfolder.

    Args:
        root: the folder. Links are followed, each folder once; hidden files are ignored.
        image_size: (height, width) that every image is scaled and cropped to.
        channels: 1 or 3; without it 3 if any image is in colour, so that nothing is lost.
        seed: of the split and of the order.
        strict: raise for a damaged file, which is otherwise left out with a warning.
        train_limit: keep this many training images.
        test_limit: keep this many test images.

    Raises:
        DataError: there are no images, they have several sizes and `image_size` is None, or a
            file is damaged and `strict` is on.
    """
    parts = _parts(root, seed)
    limits = {"train": train_limit, "test": test_limit}
    sound = {part: _sound(paths, limits[part], strict) for part, (_, paths) in parts.items()}
    if image_size is None:
        image_size = _common_size([*sound["train"], *sound["test"]])
        resize = False
    else:
        resize = True
    if channels is None:
        channels = _common_channels([*sound["train"], *sound["test"]])
    shape = (*image_size, channels)
    files = {
        part: ImageFiles(tuple(str(image.path) for image in images), shape, resize)
        for part, images in sound.items()
    }
    labels, names = _labels(
        {part: (parts[part][0], [image.path for image in sound[part]]) for part in parts}
    )
    return Dataset(
        name=root.resolve().name,
        train=files["train"],
        test=files["test"],
        train_labels=labels["train"],
        test_labels=labels["test"],
        label_names=names,
        source=str(root),
    )


def find_images(root: Path) -> list[Path]:
    """Every PNG and JPEG file under `root`, sorted by path; other files are counted in the log.

    Raises:
        DataError: there is none.
    """
    found, ignored = [], 0
    for path in _walk(root, set()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
            found.append(path)
        else:
            ignored += 1
    if not found:
        raise DataError(
            f"Expected images ({', '.join(SUFFIXES)}) in {root} or below it, found none "
            f"among {ignored} files."
        )
    if ignored:
        logger.info("%s: %d files that are hidden or no images are ignored.", root, ignored)
    return sorted(found)


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    status = folder.stat()
    # A folder reached a second time is a link, perhaps to one of its own parents.
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if not entry.is_dir():
            yield Path(entry.path)
        elif not entry.name.startswith("."):
            yield from _walk(Path(entry.path), seen)


def _parts(root: Path, seed: int) -> dict[str, tuple[Path, list[Path]]]:
    """Of each part the folder that its labels start from, and its files in their order."""
    if (root / "train").is_dir() and (root / "test").is_dir():
        generator = np.random.default_rng(seed)
        parts = {}
        for part in ("train", "test"):
            paths = find_images(root / part)
            parts[part] = (root / part, [paths[i] for i in generator.permutation(len(paths))])
        return parts
    paths = find_images(root)
    train, test = split(len(paths), seed)
    return {
        "train": (root, [paths[i] for i in train]),
        "test": (root, [paths[i] for i in test]),
    }


@dataclass(frozen=True)
class _Image:
    path: Path
    height: int
    width: int
    channels: int


def _sound(paths: Sequence[Path], limit: int | None, strict: bool) -> list[_Image]:
    """The first `limit` images that can be decoded; damaged ones are named in one warning."""
    sound: list[_Image] = []
    damaged: list[str] = []
    wanted = len(paths) if limit is None else limit
    waiting = iter(paths)
    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        # Pillow warns of images so large that `inspect` refuses them.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        while chunk := list(itertools.islice(waiting, min(_CHUNK, wanted - len(sound)))):
            for path, result in zip(chunk, threads.map(_inspected, chunk), strict=True):
                if isinstance(result, _Image):
                    sound.append(result)
                elif strict:
                    raise DataError(f"{path} cannot be read: {result}. Repair it or remove it.")
                else:
                    damaged.append(f"{path} ({result})")
    if not sound:
        raise DataError(f"None of {len(damaged)} images can be read. The first: {damaged[0]}.")
    if damaged:
        more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
        logger.warning(
            "%d of %d images cannot be read and are left out: %s%s.",
            len(damaged),
            len(damaged) + len(sound),
            ", ".join(damaged[:_NAMED]),
            more,
        )
    return sound


def _inspected(path: Path) -> _Image | str:
    try:
        return _Image(path, *inspect(path))
    except UNREADABLE as error:
        return str(error) or type(error).__name__


def _common_size(images: Sequence[_Image]) -> tuple[int, int]:
    first = images[0]
    for image in images:
        if (image.height, image.width) != (first.height, first.width):
            raise DataError(
                "Expected images of one size (height x width), found "
                f"{first.height} x {first.width} ({first.path}) and "
                f"{image.height} x {image.width} ({image.path}). Bring them to one size with "
                f"--image-size {first.height} {first.width}, in Python "
                f"image_size=({first.height}, {first.width})."
            )
    return first.height, first.width


def _common_channels(images: Sequence[_Image]) -> int:
    colour = [image for image in images if image.channels == 3]
    if colour and len(colour) < len(images):
        logger.warning(
            "%d of %d images are in colour, as %s, so the grey ones are read as colour too. "
            "For grey alone set channels to 1.",
            len(colour),
            len(images),
            colour[0].path,
        )
    return 3 if colour else 1


def _labels(
    parts: Mapping[str, tuple[Path, Sequence[Path]]],
) -> tuple[dict[str, np.ndarray | None], tuple[str, ...] | None]:
    """The labels of each part and their names, from the first level of subfolders."""
    classes: dict[str, list[str]] = {}
    for part, (root, paths) in parts.items():
        below = [path.relative_to(root).parts for path in paths]
        if any(len(steps) == 1 for steps in below):
            return dict.fromkeys(parts), None
        classes[part] = [steps[0] for steps in below]
    names = sorted(set().union(*classes.values()))
    number = {name: i for i, name in enumerate(names)}
    labels = {part: np.array([number[name] for name in classes[part]]) for part in classes}
    return dict(labels), tuple(names)
