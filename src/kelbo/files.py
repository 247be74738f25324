"""Files that are written whole or not at all.

Each is written beside its final place, flushed to disk and then moved there in one step, so that a
kill at any moment leaves the old file or the new one, never half of one.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from kelbo.errors import UsageError


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
        temporary.touch(exist_ok=False)
    except OSError as error:
        # Report the path that the user knows, not the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        yield temporary
        # Open for writing: Windows flushes no file that is open for reading only.
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
