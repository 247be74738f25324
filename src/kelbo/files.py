"""Files that are written whole or not at all.

Each is written beside its final place, flushed to disk and then moved there in one step, so that a
kill at any moment leaves the old file or the new one, never half of one. A kill may leave a file
`.stem-xxxxxxxx.suffix` beside it, which `clear_leftovers` removes; a process that still writes such
a file holds a lock on it.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from kelbo.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the suffix of `path`; move it to `path` when the block succeeds.

    When the block fails or is interrupted the temporary file is removed and `path` is untouched.
    A link stays a link: the file that it points to is replaced.

    Raises:
        UsageError: `path` is a folder, a pipe or a device.
        OSError: nothing can be written there.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise UsageError(f"Expected the name of a file to write, received {path}, {kind}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        held = temporary.open("xb")
    except OSError as error:
        # Report the path that the user knows, not the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with held:
            # Some network drives have no locks.
            with contextlib.suppress(OSError):
                _lock(held)
            yield temporary
        # Open for writing: Windows flushes no file that is open for reading only.
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove the temporary files that `replacing` left when its process was killed.

    A file that another process is writing stays, and so does one that may not be removed.

    Args:
        folder: the folder of the files.
        names: the names of the files; `*.png` stands for every picture.
    """
    for name in names:
        stem, suffix = Path(name).stem, Path(name).suffix
        for leftover in folder.glob(f".{stem}-{'[0-9a-f]' * 8}{suffix}"):
            with contextlib.suppress(OSError), leftover.open("rb") as file:
                _lock(file)
                leftover.unlink()


def _lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed.

    Raises:
        OSError: somebody else holds the lock.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no room for a file."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def full_disk(error: OSError) -> str:
    """One sentence for an error that `is_full` accepts."""
    full = "A file would become too large" if error.errno == errno.EFBIG else "The disk is full"
    return f"{full}{place_of(error)}."


def place_of(error: OSError) -> str:
    """The file that an error is about, in brackets, or nothing."""
    # If a file is moved, the user knows the place where it should go.
    path = error.filename2 or error.filename
    return f" ({path})" if path else ""
