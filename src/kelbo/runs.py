"""The run directory: names and formats of its files, and how they are written.

A run directory holds all that a training leaves behind. Every file is written whole or not at all
(`kelbo.files`).
"""

import contextlib
import csv
import io
import json
import math
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import tomli_w

from kelbo.errors import NoRunError, RunError
from kelbo.files import clear_leftovers, replacing, write_text
from kelbo.unpacking import UNREADABLE, read_arrays

CONFIG = "config.toml"  # every choice of the training: enough to repeat it
MODEL = "model.keras"  # the model as of the last finished epoch
METRICS = "metrics.csv"  # one row per epoch
ENVIRONMENT = "environment.json"  # versions, backend, device
EVALUATION = "evaluation.json"  # figures on the test set
ARRAYS = "arrays.npz"  # what the pictures show, as numbers
PICTURES = "pictures"  # a folder of PNG files
REPORT = "report.html"  # everything above in one page
LOCK = ".training.lock"  # held while the run is trained

FILES = (CONFIG, MODEL, METRICS, ENVIRONMENT, EVALUATION, ARRAYS, REPORT)

# Bytes that are read of a file that somebody may have sent: a table of some 200,000 epochs, and far
# more than kelbo writes of the others. Parsed, text takes up to thirty times as much memory.
_LARGEST_TABLE = 32 * 2**20
_LARGEST_TEXT = 4 * 2**20
_MOST_COLUMNS = 1000
# What the parsers raise: for nesting that is too deep a RecursionError.
_UNPARSABLE = (ValueError, RecursionError)


def default_name(data: str, model: str, moment: datetime) -> str:
    """A readable name for a run without one: `mnist-vae-2026-11-23-14h05m33`."""
    stem = Path(data).stem or "data"
    return f"{stem}-{model}-{moment:%Y-%m-%d-%Hh%Mm%S}"


class RunDirectory:
    """One run directory, read and written by the names above.

    Raises:
        RunError: from every reader, when the file is missing or damaged.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    @classmethod
    def create(cls, path: str | Path, force: bool = False) -> "RunDirectory":
        """Make a new run directory; with `force`, clear the run that is there.

        Only the files of a run are cleared, never anything else in the folder.

        Raises:
            RunError: something is at `path` already and `force` is off, or it is not a run, or
                another process makes one there at this moment.
        """
        run = cls(path)
        was_there = run.path.exists()
        cls.check_place(path, force)
        run._clear()
        try:
            run.path.mkdir(parents=True, exist_ok=was_there)
        except FileExistsError:
            raise RunError(
                f"Another process has just begun a run at {run.path}. Choose another folder with "
                "--out."
            ) from None
        return run

    @classmethod
    def check_place(cls, path: str | Path, force: bool = False) -> None:
        """Check that a new run may be made at `path`, and change nothing.

        Raises:
            RunError: something is at `path` already and `force` is off, or it is not a run, or
                nothing can be written there.
        """
        run = cls(path)
        run._check_writable()
        if not run.path.exists() or not any(run.path.iterdir()):
            return
        if not run._is_run():
            raise RunError(
                f"{run.path} is not empty and is not a run (it has no {CONFIG} of kelbo's). "
                "Choose another folder with --out."
            )
        if run._is_being_trained():
            raise RunError(
                f"{run.path} is being trained at this moment. Wait for the end, or choose another "
                "folder with --out."
            )
        if not force:
            raise RunError(
                f"{run.path} already holds a run. Choose another folder with --out, "
                "or overwrite the run with --force."
            )

    def _check_writable(self) -> None:
        """Check that a folder can be made in the run, or in its nearest parent that exists."""
        place = self.path.absolute()
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise RunError(f"Expected a folder or nothing at {place}, found a file.")
        try:
            tempfile.TemporaryDirectory(prefix=".kelbo-", dir=place).cleanup()
        except OSError as error:
            raise RunError(
                f"Nothing can be written in {place} ({error.strerror}). Choose another folder with "
                "--out, or change its permissions."
            ) from error

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Hold the run while it is trained, so that nobody else clears it meanwhile."""
        with filelock.FileLock(self.file(LOCK), timeout=0):
            try:
                yield
            finally:
                self.file(LOCK).unlink(missing_ok=True)

    def _is_being_trained(self) -> bool:
        """Whether another training holds the run; the lock of one that was killed is removed."""
        if not self.file(LOCK).exists():
            return False
        try:
            with filelock.FileLock(self.file(LOCK), timeout=0):
                self.file(LOCK).unlink()
        except filelock.Timeout:
            return True
        return False

    def _is_run(self) -> bool:
        """Whether the configuration is kelbo's: other programs have a config.toml too."""
        try:
            return "kelbo" in self.read_config()
        except RunError:
            return False

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """Open an existing run, and remove what a kill left beside its files.

        Raises:
            NoRunError: `path` does not exist or is not a run.
        """
        run = cls(path)
        if not run.path.exists():
            raise NoRunError(
                f"There is no run at {run.path}. `kelbo train --out {path}` makes one."
            )
        if not run.file(CONFIG).is_file():
            raise NoRunError(
                f"{run.path} is not a run directory: it has no {CONFIG}. "
                "A run is what `kelbo train` writes."
            )
        run._is_being_trained()  # which removes the lock of a training that was killed
        run._clear_leftovers()
        return run

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.path / name

    def model_file(self) -> Path:
        """The path of the model.

        Raises:
            RunError: no epoch was finished, so there is none.
        """
        if not self.file(MODEL).is_file():
            raise self._missing(MODEL)
        return self.file(MODEL)

    def _clear_leftovers(self) -> None:
        clear_leftovers(self.path, FILES)
        clear_leftovers(self.file(PICTURES), ["*.png"])

    def _clear(self) -> None:
        pictures = self.file(PICTURES)
        for picture in pictures.glob("*.png"):
            picture.unlink()
        with contextlib.suppress(OSError):  # not there, or with somebody else's file in it
            pictures.rmdir()
        self._clear_leftovers()
        # The configuration stays until the new one replaces it: by it the folder counts as a run.
        for name in FILES:
            if name != CONFIG:
                self.file(name).unlink(missing_ok=True)

    # Configuration, environment, evaluation: small tables.

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the configuration; TOML has no null, so None values are left out."""
        write_text(self.file(CONFIG), tomli_w.dumps(_without_none(config)))

    def read_config(self) -> dict[str, Any]:
        """Read the configuration."""
        text = self._read(CONFIG)
        try:
            return tomllib.loads(text)
        except _UNPARSABLE as error:
            raise self.damaged(CONFIG, error) from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the JSON files; NaN and infinity are not JSON and are refused."""
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        write_text(self.file(name), text + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the JSON files."""
        text = self._read(name)
        try:
            content = json.loads(text)
        except _UNPARSABLE as error:
            raise self.damaged(name, error) from error
        if not isinstance(content, dict):
            raise self.damaged(name, "it does not hold one JSON object")
        return content

    # Metrics: one row per epoch.

    def write_metrics(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the metrics of all epochs so far, at least one.

        The first row's keys are the columns; a value that a later row lacks is NaN.
        """
        with replacing(self.file(METRICS)) as temporary:
            with temporary.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(
                    stream, fieldnames=list(rows[0]), restval=math.nan, lineterminator="\n"
                )
                writer.writeheader()
                writer.writerows(rows)

    def read_metrics(self) -> dict[str, list[float]]:
        """Read the metrics as one list a column."""
        table = csv.reader(io.StringIO(self._read(METRICS, _LARGEST_TABLE), newline=""))
        rows = filter(None, table)
        try:
            names = next(rows, [])
            if len(names) > _MOST_COLUMNS:
                raise ValueError(f"it has {len(names):,} columns")
            columns: list[list[float]] = [[] for _ in names]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    column.append(float(value))
        except (csv.Error, ValueError) as error:
            raise self.damaged(METRICS, error) from error
        if not names or not columns[0]:
            raise self.damaged(METRICS, "it has no rows")
        return dict(zip(names, columns, strict=True))

    # Arrays: what the pictures show.

    def write_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write named arrays as one compressed .npz file."""
        with replacing(self.file(ARRAYS)) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)

    def read_arrays(self) -> dict[str, np.ndarray]:
        """Read the named arrays; pickled content is refused."""
        if not self.file(ARRAYS).is_file():
            raise self._missing(ARRAYS)
        try:
            arrays = read_arrays(self.file(ARRAYS))
            if isinstance(arrays, np.ndarray):
                raise ValueError("it holds one array without a name")
        except UNREADABLE as error:
            raise self.damaged(ARRAYS, error) from error
        return arrays

    def _read(self, name: str, largest: int = _LARGEST_TEXT) -> str:
        try:
            size = self.file(name).stat().st_size
            if size > largest:
                raise self.damaged(name, f"it has {size:,} bytes, expected at most {largest:,}")
            return self.file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise self._missing(name) from None
        except UnicodeDecodeError as error:
            raise self.damaged(name, error) from error

    def _missing(self, name: str) -> RunError:
        cure = {
            CONFIG: "A run is what `kelbo train` writes.",
            EVALUATION: f"`kelbo evaluate {self.path}` writes it.",
            ARRAYS: f"`kelbo evaluate {self.path}` writes it.",
            REPORT: f"`kelbo report {self.path}` writes it.",
            MODEL: f"Train it again with `kelbo train --config {self.file(CONFIG)}`."
            if self.file(METRICS).is_file()
            else "The training that made this run did not finish its first epoch.",
        }.get(name, "The training that made this run did not finish its first epoch.")
        return RunError(f"The run {self.path} has no {name}. {cure}")

    def damaged(self, name: str, reason: object) -> RunError:
        """The error for a file that exists but does not hold what it should."""
        cure = {
            CONFIG: "repeat the run with `kelbo train` and the choices that it was made with",
            EVALUATION: f"write it again with `kelbo evaluate {self.path}`",
            ARRAYS: f"write it again with `kelbo evaluate {self.path}`",
        }.get(name, f"repeat the run with `kelbo train --config {self.file(CONFIG)}`")
        return RunError(
            f"{self.file(name)} is damaged ({reason}). Restore it from a copy, or {cure}."
        )


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }
