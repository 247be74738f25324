"""IDX files, the format of the original MNIST: plain or gzipped, two parts in one folder.

A file starts with two zero bytes, a code for the type of its numbers and the number of axes; then
the length of each axis as a big-endian 32-bit integer; then the numbers, big-endian.
"""

import gzip
import math
import re
import struct
from pathlib import Path
from typing import IO, cast

import numpy as np

from kelbo.data.arrays import from_arrays
from kelbo.data.dataset import Dataset
from kelbo.errors import DataError
from kelbo.unpacking import DATA_EXPANSION, UNREADABLE, check_size

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx\d-\w+(\.gz)?")


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds files with the names of MNIST's, as train-images-idx3-ubyte.gz."""
    return any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def load_idx(folder: Path, seed: int = 0) -> Dataset:
    """Read the IDX files of a folder.

    The names are those of MNIST: {train, t10k or test}-{images or labels}, then -idx3-ubyte or
    .idx3-ubyte, then .gz or nothing. Labels may be missing, and the test files too.

    Raises:
        DataError: the training images are missing, two files have the same role, or one is damaged.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        kind = "x" if match[2] == "images" else "y"
        role = f"{kind}_{'train' if match[1] == 'train' else 'test'}"
        if role in found:
            raise DataError(f"Expected one file of each kind, found {found[role]} and {path}.")
        found[role] = path
    if "x_train" not in found:
        raise DataError(
            f"Expected training images (train-images-idx3-ubyte or .gz) in {folder}, "
            f"found {', '.join(path.name for path in found.values())}."
        )
    arrays = {role: read_idx(path) for role, path in found.items()}
    try:
        return from_arrays(
            arrays["x_train"],
            arrays.get("x_test"),
            arrays.get("y_train"),
            arrays.get("y_test"),
            name=folder.resolve().name,
            source=str(folder),
            seed=seed,
        )
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error


def read_idx(path: Path) -> np.ndarray:
    """The array in one IDX file, gzipped if the name ends in .gz.

    Raises:
        DataError: the file is damaged, cut short, declares more than it holds or is no IDX file.
    """
    held = path.stat().st_size
    zipped = path.suffix == ".gz"
    try:
        opened: IO[bytes] = cast(IO[bytes], gzip.open(path)) if zipped else path.open("rb")
        with opened as stream:
            return _read(stream, held, DATA_EXPANSION if zipped else 1, path)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({error}). Copy it again.") from error


def _read(stream: IO[bytes], held: int, expansion: int, path: Path) -> np.ndarray:
    """The array in a stream that is unpacked from `held` bytes; its header is looked at first."""
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise DataError(
            f"{path} is not an IDX file: it starts with {start.hex(' ') or 'nothing'}, "
            "expected 00 00, a type code and the number of axes."
        )
    kind, axes = np.dtype(_TYPES[start[2]]), start[3]
    lengths = stream.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise DataError(f"{path} is damaged: it ends within its header. Copy it again.")
    shape = struct.unpack(f">{axes}I", lengths)
    expected = math.prod(shape) * kind.itemsize
    check_size(expected, held, expansion, f"an array of shape {shape}")
    # One byte more, to see whether there are more.
    content = stream.read(expected + 1)
    if len(content) != expected:
        found = f"more than {expected}" if len(content) > expected else str(len(content))
        raise DataError(
            f"{path} is damaged: its header promises {expected} bytes of shape {shape}, "
            f"found {found}. Copy it again."
        )
    return np.frombuffer(content, kind).reshape(shape).astype(kind.newbyteorder("="))
