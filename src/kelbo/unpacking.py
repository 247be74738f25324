"""How much a file unpacks to, compared with what it holds before any of it is unpacked.

A file of some kilobytes can declare terabytes: an entry of an archive that is packed a
thousandfold, an array of a shape that nothing stands behind. Every check here raises a ValueError
that says what the file declares and what it holds; who reads the file adds its name and what to do.
"""

import lzma
import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from kelbo.memory import total_memory

# What reading a damaged or hostile archive raises. zipfile raises a RuntimeError for an entry with
# a password, Python's parser a MemoryError or a RecursionError for a header that is nested deeply.
UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
# Bytes that any file may unpack to, however small it is: every machine has room for them.
SMALL = 64 * 2**20
# How far data may be packed. Images of one white dot on black, the emptiest that anyone would learn
# from, were packed 610-fold; the same byte over and over, 1,030-fold, as far as deflate can.
DATA_EXPANSION = 800
# What zipfile, NumPy and Keras write; of others a few bytes can unpack to megabytes at a time.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Bytes; NumPy itself refuses a header of over 10,000, after it has read it.
_LONGEST_HEADER = 2**16


def check_size(declared: int, held: int, expansion: float, what: str) -> None:
    """Check that something unpacks to no more than honest content does, and fits into memory.

    Args:
        declared: the bytes that it unpacks to.
        held: the bytes that it is unpacked from.
        expansion: how many bytes one byte may unpack to, if it is more than `SMALL` in all.
        what: its name in the error.

    Raises:
        ValueError: it unpacks to more.
    """
    most = max(SMALL, int(expansion * held))
    if declared > most:
        raise ValueError(
            f"{what} would take {declared:,} bytes, expected at most {most:,} of a file of "
            f"{held:,} bytes"
        )
    memory = total_memory()
    if memory is not None and declared > memory:
        raise ValueError(
            f"{what} would take {declared:,} bytes, more than the {memory:,} bytes of memory of "
            "this machine"
        )


def check_entries(archive: zipfile.ZipFile, held: int, expansion: float) -> None:
    """Check that an archive unpacks to no more than honest content does.

    zipfile never gives more of an entry than the archive's directory declares. Entries that share
    their bytes count each for itself.

    Args:
        archive: the archive; nothing of it is unpacked.
        held: the bytes of its file.
        expansion: how many bytes one of them may unpack to.

    Raises:
        ValueError: it unpacks to more, or is packed in a way that nobody uses here.
    """
    entries = archive.infolist()
    for entry in entries:
        if entry.compress_type not in _PACKINGS:
            raise ValueError(
                f"the entry {entry.filename[:100]!r} is packed by method {entry.compress_type}, "
                "expected stored or deflated"
            )
    check_size(sum(entry.file_size for entry in entries), held, expansion, "entries")


def read_arrays(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array in an .npy file, or all arrays in an .npz file by name.

    Raises:
        ValueError: an array declares more than the file holds, or holds Python objects, which
            could run any code.
        The others of `UNREADABLE`: the file is damaged.
    """
    held = path.stat().st_size
    # Opened here because NumPy leaves a damaged archive open.
    with path.open("rb") as stream:
        packed = stream.read(2) == b"PK"
        stream.seek(0)
        if not packed:
            return _read_array(stream, held, "the array")
        with zipfile.ZipFile(stream) as archive:
            check_entries(archive, held, DATA_EXPANSION)
            arrays = {}
            for entry in archive.infolist():
                if entry.filename.endswith(".npy"):
                    name = entry.filename.removesuffix(".npy")
                    with archive.open(entry) as content:
                        arrays[name] = _read_array(content, entry.file_size, name)
            return arrays


def _read_array(stream: IO[bytes], held: int, name: str) -> np.ndarray:
    """The array in a stream of `held` bytes, with which its header is compared first."""
    version = np.lib.format.read_magic(stream)
    # 2 bytes in version 1.0 and 4 in the others, the last of which is for the names of fields.
    length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
    if version not in ((1, 0), (2, 0)) or length > _LONGEST_HEADER:
        raise ValueError(f"{name} has a header of {length:,} bytes and version {version}")
    stream.seek(0)
    np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    declared = math.prod(shape) * dtype.itemsize
    left = held - stream.tell()
    if declared > left or min(shape, default=0) < 0:
        raise ValueError(
            f"{name} declares the shape {shape} of {dtype}, {declared:,} bytes, and the file holds "
            f"{left:,} bytes of it"
        )
    check_size(declared, held, 1, name)
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
