"""A folder of images, decoded once into a file of bytes that later trainings map into memory.

    NAME-KEY/               the folder's name, and a key of its path and of how it is read
      lock                  held by the process that writes
      FINGERPRINT/          of the image files: their names, sizes and times of change
        pixels.npy          uint8 (images, height, width, channels)
        shapes.npy          what `Inspection` knows of the files,
        cache.json          and which of them are damaged

The innermost folder is written beside its place and moved there whole. The images lie in the order
of their paths, so one cache serves every seed; what a split, labels and warnings are made of is
kept too, so a data set is the same with and without it, pixel by pixel.
"""

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import filelock
import numpy as np
import PIL

from kelbo.data.checks import from_bytes
from kelbo.data.inspection import Inspection
from kelbo.data.part import Indices
from kelbo.errors import DataError
from kelbo.places import PLACE, cache_directory

logger = logging.getLogger("kelbo")

# To be raised when the files of a cache change, or the pixels that an image file is decoded to.
FORMAT = 1

_PIXELS = "pixels.npy"
_SHAPES = "shapes.npy"
_INDEX = "cache.json"
_LOCK = "lock"
_PIECE = 2**24  # bytes decoded between two writes, at most,
_IMAGES = 1024  # and images, so that the watcher hears of it


def default_place() -> Path:
    """The folder of all caches: $KELBO_CACHE/images, or in the user's cache directory."""
    return cache_directory("images")


class Watcher:
    """Is told what happens to a cache; does nothing itself. The command line says it."""

    def waiting(self, path: Path) -> None:
        """Another process is writing the cache; this one waits for it."""

    def writing(self, images: int, reason: str) -> None:
        """Images are about to be decoded into a cache; why."""

    def decoded(self, images: int) -> None:
        """So many images are decoded."""

    def ready(self, path: Path, images: int, size: int) -> None:
        """The cache is there: its folder, and its size in bytes."""


class Decoded(Protocol):
    """Images as they are decoded from their files, as `kelbo.data.ImageFiles`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        ...

    def __len__(self) -> int: ...

    def read_bytes(self, indices: Indices) -> np.ndarray:
        """The images at `indices`: uint8 (n, height, width, channels), 0..255."""
        ...


@dataclass(frozen=True, eq=False)
class CachedImages:
    """Images in a file that is mapped into memory: one part of a data set, read by index.

    Attributes:
        pixels: uint8 (all images, height, width, channels), both parts.
        rows: of each image of this part, its place in `pixels`.
    """

    pixels: np.ndarray
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        height, width, channels = self.pixels.shape[1:]
        return height, width, channels

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, indices: Indices) -> np.ndarray:
        """The images at `indices`: float32 (n, height, width, channels) in [0, 1]."""
        return from_bytes(self.read_bytes(indices))

    def read_bytes(self, indices: Indices) -> np.ndarray:
        """The images at `indices`: uint8 (n, height, width, channels), 0..255."""
        return self.pixels[self.rows[np.asarray(indices, dtype=np.intp)]]


@dataclass(frozen=True, eq=False)
class Content:
    """What a cache holds.

    Attributes:
        pixels: of every file that is not damaged, in the order of the inspection; mapped.
        inspection: what is known of the files.
    """

    pixels: np.ndarray
    inspection: Inspection

    def images(self, positions: np.ndarray) -> CachedImages:
        """The images of the files at these positions of the inspection."""
        rows = np.cumsum(self.inspection.shapes[:, 0] > 0) - 1
        return CachedImages(self.pixels, rows[positions])


Choice = TypeVar("Choice")


class FolderCache:
    """The cache of one folder, read in one way.

    Args:
        place: the folder of all caches.
        root: the folder of images.
        paths: its image files, sorted.
        choices: all that decides which files are decoded, and how.
        watcher: is told what happens.
    """

    def __init__(
        self,
        place: Path,
        root: Path,
        paths: list[str],
        choices: tuple[Any, ...],
        watcher: Watcher,
    ):
        key = hashlib.sha256(f"{root.resolve()}\0{choices}".encode(errors="surrogateescape"))
        self.path = place / f"{root.resolve().name}-{key.hexdigest()[:12]}"
        self.root = root
        self.paths = paths
        self.watcher = watcher

    def content(
        self,
        choose: Callable[[Inspection], Choice],
        decode: Callable[[Choice], Decoded],
    ) -> tuple[Choice, Content]:
        """What the cache holds; written first, where it is missing, damaged or out of date.

        Args:
            choose: inspects the files that are needed and chooses among them; called once.
            decode: all files that were chosen and are not damaged, in their order.

        Raises:
            DataError: it cannot be written, or an image has more than 8 bits.
        """
        fingerprint = _fingerprint(self.root, self.paths)
        content = self._open(fingerprint)
        if content is None:
            with self._alone():
                # Another process may have written it meanwhile.
                content = self._open(fingerprint)
                if content is None:
                    return self._write(fingerprint, choose, decode)
        return choose(content.inspection), self._ready(content)

    def _open(self, fingerprint: str) -> Content | None:
        """What the cache holds; None if it is not there, whole, and of these files."""
        folder = self.path / fingerprint
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            damaged = {int(position): str(reason) for position, reason in index["damaged"]}
            # These read no pickle, and map no file that is shorter than its header says.
            pixels = _mapped(folder / _PIXELS)
            shapes = np.array(_mapped(folder / _SHAPES))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        inspection = Inspection(self.paths)
        if (shapes.dtype, shapes.shape) != (np.int32, inspection.shapes.shape):
            return None
        sound = np.count_nonzero(shapes[:, 0])
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != sound:
            return None
        inspection.shapes, inspection.damaged = shapes, damaged
        return Content(pixels, inspection)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing the cache at the same time."""
        with _not_written(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / _LOCK)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                self.watcher.waiting(self.path)
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _write(
        self,
        fingerprint: str,
        choose: Callable[[Inspection], Choice],
        decode: Callable[[Choice], Decoded],
    ) -> tuple[Choice, Content]:
        reason = self._clear(fingerprint)
        inspection = Inspection(self.paths)
        choice = choose(inspection)
        images = decode(choice)
        self.watcher.writing(len(images), reason)
        logger.info("%d images of %s are decoded: %s.", len(images), self.root, reason)
        temporary = self.path / f".{secrets.token_hex(4)}"
        try:
            with _not_written(self.path):
                temporary.mkdir()
                self._check_room(images)
            self._write_pixels(temporary / _PIXELS, images)
            with _not_written(self.path):
                np.save(temporary / _SHAPES, inspection.shapes, allow_pickle=False)
                damaged = sorted(inspection.damaged.items())
                index = json.dumps({"source": str(self.root), "damaged": damaged})
                (temporary / _INDEX).write_text(index, encoding="utf-8")
            if _fingerprint(self.root, self.paths) != fingerprint:
                raise DataError(
                    f"Images in {self.root} were changed while they were decoded into the cache. "
                    "Repeat the command when they are at rest."
                )
            with _not_written(self.path):
                temporary.rename(self.path / fingerprint)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        content = self._open(fingerprint)
        if content is None:
            raise DataError(f"The cache {self.path} was changed while it was written. Try again.")
        return choice, self._ready(content)

    def _ready(self, content: Content) -> Content:
        images, size = len(content.pixels), content.pixels.nbytes + content.inspection.shapes.nbytes
        self.watcher.ready(self.path, images, size)
        logger.info("Cache of %s: %d images, %d bytes in %s.", self.root, images, size, self.path)
        return content

    def _clear(self, fingerprint: str) -> str:
        """Take away what is there of no use; return why the cache must be written."""
        kept = [path for path in self.path.iterdir() if path.is_dir()]
        for path in kept:
            shutil.rmtree(path, ignore_errors=True)
        names = {path.name for path in kept if not path.name.startswith(".")}
        if fingerprint in names:
            return "the cache of them was damaged"
        return (
            "they, or what decodes them, have changed since"
            if names
            else "there is no cache of them yet"
        )

    def _check_room(self, images: Decoded) -> None:
        size = len(images) * int(np.prod(images.shape))
        free = shutil.disk_usage(self.path).free
        if size > free:
            raise DataError(
                f"The cache of {self.root} takes {size / 1e6:,.0f} MB and {self.path} has "
                f"{free / 1e6:,.0f} MB. {_OTHER_PLACE}"
            )

    def _write_pixels(self, path: Path, images: Decoded) -> None:
        """Write to the file and not into mapped memory, where a full disk kills the process."""
        count, size = len(images), int(np.prod(images.shape))
        rows = min(max(1, _PIECE // size), _IMAGES)
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *images.shape)}
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for start in range(0, count, rows):
                piece = images.read_bytes(range(start, min(start + rows, count)))
                with _not_written(self.path):
                    stream.write(piece.data)
                self.watcher.decoded(start + len(piece))
            with _not_written(self.path):
                stream.flush()
                os.fsync(stream.fileno())


_OTHER_PLACE = (
    f"Choose another place with the environment variable {PLACE} (in Python cache=FOLDER), or do "
    "without the cache."
)


@contextlib.contextmanager
def _not_written(path: Path) -> Iterator[None]:
    """Say what it means when a file of the cache cannot be written."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The cache {path} cannot be written ({error.strerror or error}). Nothing of it is "
            f"kept. {_OTHER_PLACE}"
        ) from error


def _mapped(path: Path) -> np.ndarray:
    mapped = np.lib.format.open_memmap(path, mode="r")
    if mapped.offset + mapped.nbytes != path.stat().st_size:
        raise ValueError(f"{path} is longer than its header says")
    return mapped.view(np.ndarray)


def _fingerprint(root: Path, paths: list[str]) -> str:
    """Changes when an image is added, removed, renamed or written, or what decodes them."""
    known = hashlib.sha256(f"{FORMAT} {PIL.__version__}".encode())
    # Paths below "." begin with "./" or not; absolute ones are below the absolute root.
    start = len(os.path.abspath(root))
    for path in paths:
        facts = f"\0{os.path.abspath(path)[start:]}\0{_state(path)}"
        known.update(facts.encode(errors="surrogateescape"))
    return known.hexdigest()[:16]


def _state(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:  # it was removed since the folder was listed
        return "gone"
    return f"{status.st_size}\0{status.st_mtime_ns}"
