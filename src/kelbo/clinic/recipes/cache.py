"""The lab's cache directory: the environments that were built and the trials that were made.

    environments/NAME-FINGERPRINT/   a virtual environment; kelbo.json is written at the end
    environments/NAME-FINGERPRINT.lock
    trials/NAME/MODE/SCRIPT.json     one trial

An environment without its kelbo.json was interrupted, and is built anew.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from kelbo.clinic.recipes.environments import Environment
from kelbo.errors import LabError
from kelbo.files import write_text
from kelbo.places import cache_directory

_WHOLE = "kelbo.json"
_LOCK = ".lock"


def default_cache() -> Path:
    """The cache directory: $KELBO_CACHE/recipes, or the user's cache directory of the system."""
    return cache_directory("recipes")


class Cache:
    """One cache directory, which is made when something is first put there.

    Args:
        path: the directory.
    """

    def __init__(self, path: Path):
        self.path = path.expanduser().absolute()

    def directory(self, environment: Environment) -> Path:
        """Where an environment is, or would be, built."""
        return self.path / "environments" / f"{environment.name}-{environment.fingerprint}"

    def python(self, environment: Environment) -> Path:
        """The interpreter of a built environment."""
        place = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return self.directory(environment) / place

    def is_built(self, environment: Environment) -> bool:
        """Whether the environment is there and complete."""
        return (self.directory(environment) / _WHOLE).is_file()

    def finish(self, environment: Environment, facts: dict[str, Any]) -> None:
        """Mark an environment as complete."""
        write_text(self.directory(environment) / _WHOLE, json.dumps(facts, indent=1) + "\n")

    def discard(self, environment: Environment) -> None:
        """Remove an environment, complete or not."""
        shutil.rmtree(self.directory(environment), ignore_errors=True)

    @contextlib.contextmanager
    def hold(self, environment: Environment, waiting: Callable[[], None]) -> Iterator[None]:
        """Keep other runs away from an environment while it is built or used.

        Args:
            environment: the environment.
            waiting: called if another run holds it, before this one waits.
        """
        directory = self.directory(environment)
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(directory.with_name(directory.name + _LOCK))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            waiting()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def trial_path(self, environment: str, mode: str, script: str) -> Path:
        """The path of the result of one trial."""
        return self.path / "trials" / environment / mode / f"{script}.json"

    def sizes(self) -> dict[str, int]:
        """The bytes on disk of each environment.

        uv links files instead of copying them, so a file that several environments share is counted
        once, for the first.
        """
        seen: set[tuple[int, int]] = set()
        return {path.name: _size(path, seen) for path in self._environments()}

    def clean(self) -> int:
        """Remove every environment and every trial; return how many bytes that freed.

        Raises:
            LabError: another run is using an environment; the others are removed.
        """
        folder = self.path / "environments"
        # A lock without a directory: an environment that is about to be built, or was not needed.
        names = {path.name for path in self._environments()}
        names |= {path.name.removesuffix(_LOCK) for path in folder.glob(f"*{_LOCK}")}
        busy = []
        freed = 0
        seen: set[tuple[int, int]] = set()
        for name in sorted(names):
            lock = filelock.FileLock(folder / (name + _LOCK))
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                busy.append(name)
                continue
            try:
                if (folder / name).exists():
                    freed += _size(folder / name, seen)
                    shutil.rmtree(folder / name)
                # While it is held, or two runs that wait for it could get two files of one name.
                # Windows keeps an open file.
                with contextlib.suppress(PermissionError):
                    (folder / (name + _LOCK)).unlink(missing_ok=True)
            finally:
                lock.release()
        if busy:
            raise LabError(
                f"In use by another run of kelbo, and kept: {', '.join(busy)}. "
                "The others were removed; repeat the command when that run has ended."
            )
        shutil.rmtree(self.path / "trials", ignore_errors=True)
        with contextlib.suppress(OSError):  # a run that began meanwhile has put something there
            folder.rmdir()
        return freed

    def _environments(self) -> list[Path]:
        return sorted(path for path in (self.path / "environments").glob("*") if path.is_dir())


def _size(folder: Path, seen: set[tuple[int, int]]) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))
            except FileNotFoundError:
                continue  # another run is building, and has just moved it
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                # Windows does not report blocks.
                total += getattr(status, "st_blocks", 0) * 512 or status.st_size
    return total
