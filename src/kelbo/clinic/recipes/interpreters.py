"""Python interpreters that the machine already has."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def find_interpreter(version: str) -> Path | None:
    """An interpreter of this major and minor version: this one, one of pyenv's, one on the path.

    Each is run before it is trusted, because pyenv puts names on the path that only refuse.

    Args:
        version: such as "3.7".

    Returns:
        Its path, or None if the machine has none.
    """
    for candidate in _candidates(version):
        if _version(candidate) == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    yield Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for place in ("bin/python", "python.exe"):
        yield from sorted((pyenv / "versions").glob(f"{version}.*/{place}"), reverse=True)
    found = shutil.which(f"python{version}")
    if found:
        yield Path(found)


def _version(interpreter: Path) -> str | None:
    try:
        answer = subprocess.run(
            [interpreter, "-c", _ASK], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
