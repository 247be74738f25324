"""A folder of images, nested as it may be, read from disk batch by batch.

Every file is decoded once when the folder is loaded (`inspection.Inspection`), or was when its
cache was written. The order within a part is a seeded permutation: the first images are a fair
sample whatever the files are called.
"""

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kelbo.data.cache import FolderCache, Watcher
from kelbo.data.dataset import Dataset
from kelbo.data.image_file import SUFFIXES, UNREADABLE, decode, in_unit_range
from kelbo.data.inspection import Inspection
from kelbo.data.part import Indices, Part
from kelbo.data.split import split
from kelbo.errors import DataError

logger = logging.getLogger("kelbo")

# Images all the same, which kelbo does not read.
_OTHER_SUFFIXES = frozenset(
    ".apng .avif .bmp .dcm .dng .exr .gif .heic .heif .jfif .jp2 .jpe .jxl .nef .pbm .pgm .pnm .ppm"
    " .svg .tga .tif .tiff .webp".split()
)

_CORES = os.cpu_count() or 1
# Values decoded in one task, at least. A small image is mostly Python's work, which one thread can
# do at a time: more threads only get in each other's way.
_TASK = 2**17


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
        return self._decoded(indices, np.float32)

    def read_bytes(self, indices: Indices) -> np.ndarray:
        """Decode the images at `indices`: uint8 (n, height, width, channels), 0..255.

        Raises:
            DataError: a file was changed or removed since the folder was loaded, or has 16 bits.
        """
        return self._decoded(indices, np.uint8)

    def _decoded(self, indices: Indices, dtype: type) -> np.ndarray:
        images: np.ndarray = np.empty((len(indices), *self.shape), dtype)

        def fill(places: np.ndarray) -> None:
            for place in places:
                images[place] = self._pixels(self.paths[indices[place]], dtype)

        tasks = _CORES if self.resize else min(_CORES, 1 + images.size // _TASK)
        for _ in self._threads.map(fill, np.array_split(np.arange(len(images)), tasks)):
            pass
        return images

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_CORES, thread_name_prefix="kelbo-decode")

    def _pixels(self, path: str, dtype: type) -> np.ndarray:
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
        if dtype == np.float32:
            return in_unit_range(image)
        if image.dtype != np.uint8:
            raise DataError(
                f"{path} is a 16-bit image, and a cache keeps 8 bits: its pixels would not be the "
                "same. Do without the cache, or convert the images to 8 bits."
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
    cache: Path | None = None,
    watcher: Watcher | None = None,
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
        cache: the folder of caches that the decoded images are kept in (`kelbo.data.cache`).
        watcher: is told what happens to the cache.

    Raises:
        DataError: there are no images, they have several sizes and `image_size` is None, or a
            file is damaged and `strict` is on. The cache cannot be written, or an image has 16
            bits, which a cache does not keep.
    """
    paths, parts = _parts(root, seed)
    limits = {"train": train_limit, "test": test_limit}

    def choose(inspection: Inspection) -> _Choice:
        chosen = {
            part: inspection.sound(positions, limits[part], strict)
            for part, (_, positions) in parts.items()
        }
        everything = np.sort(np.concatenate(list(chosen.values())))
        size = image_size or _common_size(inspection, everything)
        shape = (*size, channels or _common_channels(inspection, everything))
        resize = bool((inspection.shapes[everything, :2] != size).any())
        return _Choice(chosen, everything, shape, resize)

    def files(choice: _Choice, positions: np.ndarray) -> ImageFiles:
        return ImageFiles(tuple(paths[i] for i in positions), choice.shape, choice.resize)

    images: dict[str, Part]
    if cache is None:
        choice = choose(Inspection(paths))
        images = {name: files(choice, part) for name, part in choice.parts.items()}
    else:
        # Without limits every file is decoded, whatever the seed.
        limited = (seed, train_limit, test_limit) if train_limit or test_limit else ()
        choice, content = FolderCache(
            cache, root, paths, (image_size, channels, *limited), watcher or Watcher()
        ).content(choose, lambda choice: files(choice, choice.positions))
        images = {name: content.images(part) for name, part in choice.parts.items()}
    labels, names = _labels(
        {part: (parts[part][0], [paths[i] for i in choice.parts[part]]) for part in parts}
    )
    return Dataset(
        name=root.resolve().name,
        train=images["train"],
        test=images["test"],
        train_labels=labels["train"],
        test_labels=labels["test"],
        label_names=names,
        source=str(root),
    )


@dataclass(frozen=True, eq=False)
class _Choice:
    """The files that a data set is made of.

    Attributes:
        parts: the positions of the files of each part, in its order.
        positions: of both parts, sorted.
        shape: (height, width, channels) of every image once read.
        resize: whether a file has another size.
    """

    parts: dict[str, np.ndarray]
    positions: np.ndarray
    shape: tuple[int, int, int]
    resize: bool


def find_images(root: Path) -> list[str]:
    """Every PNG and JPEG file under `root`, sorted by path.

    A warning names the images of other formats that are left out. Files that are hidden or no
    images are counted in the log.

    Raises:
        DataError: there is none.
    """
    found: list[str] = []
    others: Counter[str] = Counter()
    ignored = 0
    for path in _walk(str(root), set()):
        name = os.path.basename(path)
        suffix = os.path.splitext(name)[1].lower()
        if name.startswith(".") or not os.path.isfile(path):
            ignored += 1
        elif suffix in SUFFIXES:
            found.append(path)
        elif suffix in _OTHER_SUFFIXES:
            others[suffix] += 1
        else:
            ignored += 1
    if not found:
        raise DataError(
            f"Expected images ({', '.join(SUFFIXES)}) in {root} or below it, found none "
            f"among {ignored + others.total()} files{_other_formats(others)}."
        )
    if others:
        logger.warning(
            "%s: %d images are left out%s.", root, others.total(), _other_formats(others)
        )
    if ignored:
        logger.info("%s: %d files that are hidden or no images are ignored.", root, ignored)
    # A folder before its longer namesakes: "a/c" before "a-b/c".
    return sorted(found, key=lambda path: os.path.normcase(path).replace(os.sep, "\0"))


def _other_formats(others: Counter[str]) -> str:
    """How many images have which other format, and the cure; nothing without any."""
    if not others:
        return ""
    counts = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
    return (
        f": kelbo reads PNG and JPEG, and these are {counts}. Convert them, with Pillow for "
        'example: Image.open(path).save(path + ".png")'
    )


def _walk(folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)
    # A folder reached a second time is a link, perhaps to one of its own parents.
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if not entry.is_dir():
            yield entry.path
        elif not entry.name.startswith("."):
            yield from _walk(entry.path, seen)


def _parts(root: Path, seed: int) -> tuple[list[str], dict[str, tuple[Path, np.ndarray]]]:
    """All files; and of each part the folder that its labels start from, and the positions."""
    if (root / "train").is_dir() and (root / "test").is_dir():
        generator = np.random.default_rng(seed)
        all_paths: list[str] = []
        parts = {}
        for part in ("train", "test"):
            paths = find_images(root / part)
            parts[part] = (root / part, len(all_paths) + generator.permutation(len(paths)))
            all_paths += paths
        return all_paths, parts
    paths = find_images(root)
    train, test = split(len(paths), seed)
    return paths, {"train": (root, train), "test": (root, test)}


def _common_size(inspection: Inspection, positions: np.ndarray) -> tuple[int, int]:
    sizes = inspection.shapes[positions, :2]
    height, width = (int(side) for side in sizes[0])
    others = np.flatnonzero((sizes != sizes[0]).any(axis=1))
    if others.size:
        first, other = positions[0], positions[others[0]]
        raise DataError(
            "Expected images of one size (height x width), found "
            f"{height} x {width} ({inspection.paths[first]}) and "
            f"{' x '.join(map(str, sizes[others[0]]))} ({inspection.paths[other]}). Bring them to "
            f"one size with --image-size {height} {width}, in Python "
            f"image_size=({height}, {width})."
        )
    return height, width


def _common_channels(inspection: Inspection, positions: np.ndarray) -> int:
    colour = np.flatnonzero(inspection.shapes[positions, 2] == 3)
    if 0 < len(colour) < len(positions):
        logger.warning(
            "%d of %d images are in colour, as %s, so the grey ones are read as colour too. "
            "For grey alone set channels to 1.",
            len(colour),
            len(positions),
            inspection.paths[positions[colour[0]]],
        )
    return 3 if len(colour) else 1


def _labels(
    parts: Mapping[str, tuple[Path, Sequence[str]]],
) -> tuple[dict[str, np.ndarray | None], tuple[str, ...] | None]:
    """The labels of each part and their names, from the first level of subfolders."""
    classes: dict[str, list[str]] = {}
    for part, (root, paths) in parts.items():
        start = len(os.path.join(root, ""))
        below = [path[start:].split(os.sep, 1) for path in paths]
        if any(len(steps) == 1 for steps in below):
            return dict.fromkeys(parts), None
        classes[part] = [sys.intern(steps[0]) for steps in below]
    names = sorted(set().union(*classes.values()))
    number = {name: i for i, name in enumerate(names)}
    labels = {part: np.array([number[name] for name in classes[part]]) for part in classes}
    return dict(labels), tuple(names)
