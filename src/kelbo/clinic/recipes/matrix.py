"""The matrix: every script in every environment and mode, measured cell by cell."""

import dataclasses
import hashlib
import json
import math
import os
import platform
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from kelbo.clinic.recipes.build import UnavailableError, build
from kelbo.clinic.recipes.cache import Cache
from kelbo.clinic.recipes.catalogue import CATALOGUE, Recipe, Script
from kelbo.clinic.recipes.environments import ENVIRONMENTS, Environment
from kelbo.clinic.recipes.parity import write_arrays
from kelbo.clinic.recipes.trial import PROBE, TIME_LIMIT, try_script
from kelbo.clinic.recipes.verdict import NOT_AVAILABLE, VERDICTS
from kelbo.errors import LabError
from kelbo.files import write_text

# Seconds between two looks at the running trials.
_PAUSE = 0.2


@dataclasses.dataclass(frozen=True)
class Cell:
    """One script in one environment and mode.

    Args:
        script: a script of the catalogue.
        environment: an environment of the table, or any release.
        mode: eager execution, "on" or "off".
    """

    script: Script
    environment: Environment
    mode: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Recipe, kind of script, environment and mode."""
        return (self.script.recipe, self.script.kind, self.environment.name, self.mode)


@dataclasses.dataclass(frozen=True)
class Trial:
    """The result of one cell.

    Args:
        recipe: the name of the recipe.
        script: "recipe" or "repair".
        environment: the name of the environment.
        mode: "on" or "off".
        verdict: one of `verdict.VERDICTS`.
        reason: one sentence; empty for "works".
        date: the day of the measurement, as YYYY-MM-DD.
        fingerprint: changes when the measurement would be another.
        versions: the versions of Python, NumPy, Keras and the backend.
        error: class, message, line and source of what the recipe raised; empty if it did not.
        measured: losses, and the distance from the reference; empty if the recipe raised.
    """

    recipe: str
    script: str
    environment: str
    mode: str
    verdict: str
    reason: str
    date: str
    fingerprint: str
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    error: dict[str, Any] = dataclasses.field(default_factory=dict)
    measured: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"there is no verdict {self.verdict!r}")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Recipe, kind of script, environment and mode."""
        return (self.recipe, self.script, self.environment, self.mode)


class Watcher:
    """Is told what happens and does nothing; the command line draws a progress bar instead."""

    def building(self, environment: Environment) -> None:
        """An environment is about to be built."""

    def built(self, environment: Environment) -> None:
        """An environment has been built."""

    def waiting(self, environment: Environment) -> None:
        """Another run uses the environment; this one waits for it."""

    def tried(self, trial: Trial) -> None:
        """A cell has its verdict."""

    def unsaved(self, error: OSError) -> None:
        """A result could not be kept for the next run; this run goes on."""


def cells(
    recipes: Iterable[Recipe], environments: Iterable[Environment], modes: Sequence[str]
) -> list[Cell]:
    """Every cell, environment by environment."""
    scripts = [script for recipe in recipes for script in recipe.scripts]
    return [
        Cell(script, environment, mode)
        for environment in environments
        for mode in environment.modes
        if mode in modes
        for script in scripts
    ]


class Lab:
    """Measures cells, and keeps the results in the cache for the next time.

    Args:
        cache: where environments and trials are.
        parity: for each kind of model the result of `kelbo.clinic.recipes.reference.parity_arrays`.
        watcher: is told what happens.
        time_limit: seconds for one trial.
        jobs: how many trials run at the same time.
        fresh: whether to repeat measurements that the cache has.
    """

    def __init__(
        self,
        cache: Cache,
        parity: Mapping[str, Mapping[str, np.ndarray]],
        watcher: Watcher | None = None,
        time_limit: float = TIME_LIMIT,
        jobs: int = 1,
        fresh: bool = False,
    ):
        self.cache = cache
        self.watcher = Watcher() if watcher is None else watcher
        self.time_limit = time_limit
        self.jobs = jobs
        self.fresh = fresh
        self.parity = parity
        self._stop = threading.Event()

    def run(self, wanted: Sequence[Cell]) -> list[Trial]:
        """Measure cells, environment by environment; those that are known are not run again.

        Args:
            wanted: the cells.

        Returns:
            A trial for each cell, in the same order.
        """
        found: dict[tuple[str, str, str, str], Trial] = {}
        with tempfile.TemporaryDirectory(prefix="kelbo-lab-") as folder:
            for kind, arrays in self.parity.items():
                write_arrays(Path(folder) / f"{kind}.npz", arrays)
            for environment in dict.fromkeys(cell.environment for cell in wanted):
                mine = list(dict.fromkeys(c for c in wanted if c.environment == environment))
                for trial in self._run_environment(environment, mine, Path(folder)):
                    found[trial.key] = trial
        return [found[cell.key] for cell in wanted]

    def _run_environment(
        self, environment: Environment, wanted: Sequence[Cell], folder: Path
    ) -> list[Trial]:
        done = self._recall(wanted)
        left = _without(wanted, done)
        if not left:
            return done
        try:
            with self.cache.hold(environment, lambda: self.watcher.waiting(environment)):
                # What another run measured while this one waited for it.
                done += self._recall(left)
                left = _without(left, done)
                return done + self._measure(environment, left, folder)
        except UnavailableError as error:
            reason = str(error)
        except OSError as error:
            reason = _explain(error)
        return done + [self._unavailable(cell, reason) for cell in left]

    def _measure(self, environment: Environment, left: Sequence[Cell], folder: Path) -> list[Trial]:
        if not left:
            return []
        python = self._python(environment)
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                trials = [pool.submit(self._try, cell, python, folder) for cell in left]
                running = set(trials)
                while running:
                    # Not in one wait: the system may give Ctrl-C to another thread, and this one
                    # sees it only when it wakes.
                    done, running = wait(running, _PAUSE, FIRST_EXCEPTION)
                    for trial in done:
                        trial.result()
                return [trial.result() for trial in trials]
            except BaseException:
                # Otherwise the pool would wait for every trial to end.
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _recall(self, wanted: Sequence[Cell]) -> list[Trial]:
        """The trials that need not be run, or not again."""
        trials = [trial for trial in map(self._known, wanted) if trial is not None]
        for trial in trials:
            self.watcher.tried(trial)
        return trials

    def _python(self, environment: Environment) -> Path:
        """The environment's interpreter; an environment that is not there is built."""
        if environment.interpreter is not None:
            return environment.interpreter
        if not self.cache.is_built(environment):
            self.watcher.building(environment)
            build(environment, self.cache)
            self.watcher.built(environment)
        return self.cache.python(environment)

    def _known(self, cell: Cell) -> Trial | None:
        """The trial of an earlier run, or of a cell that needs no run; else None."""
        lacking = cell.script.lacks(cell.environment)
        if lacking is not None:
            return self._trial(cell, {"verdict": NOT_AVAILABLE, "reason": lacking})
        path = self._path(cell)
        if self.fresh or not path.is_file():
            return None
        try:
            trial = Trial(**_parse(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None  # written by another kelbo, or damaged: it is measured again
        return trial if trial.fingerprint == self._fingerprint(cell) else None

    def _try(self, cell: Cell, python: Path, folder: Path) -> Trial:
        switchable = len(cell.environment.modes) > 1
        try:
            result = try_script(
                cell.script.path,
                folder / f"{cell.script.reference}.npz",
                cell.mode if switchable else "-",
                python,
                dict(cell.environment.variables),
                self.time_limit,
                self._stop,
            )
        except OSError as error:
            return self._unavailable(cell, _explain(error))
        trial = self._trial(cell, result)
        # If the environment or the machine is to blame, the next run tries again.
        if trial.verdict != NOT_AVAILABLE and "died" not in result:
            self._keep(cell, trial)
        self.watcher.tried(trial)
        return trial

    def _keep(self, cell: Cell, trial: Trial) -> None:
        try:
            write_text(self._path(cell), json.dumps(dataclasses.asdict(trial), indent=1) + "\n")
        except OSError as error:
            self.watcher.unsaved(error)

    def _unavailable(self, cell: Cell, reason: str) -> Trial:
        """The trial of a cell without its environment; not kept, so the next run tries again."""
        trial = self._trial(cell, {"verdict": NOT_AVAILABLE, "reason": reason})
        self.watcher.tried(trial)
        return trial

    def _trial(self, cell: Cell, result: Mapping[str, Any]) -> Trial:
        measured = {name: _plain(value) for name, value in result.get("parity", {}).items()}
        if "losses" in result:
            measured["losses"] = [_plain(loss) for loss in result["losses"]]
        return Trial(
            recipe=cell.script.recipe,
            script=cell.script.kind,
            environment=cell.environment.name,
            mode=cell.mode,
            verdict=result["verdict"],
            reason=result["reason"],
            date=date.today().isoformat(),
            fingerprint=self._fingerprint(cell),
            versions=dict(result.get("versions", {})),
            error=dict(result.get("error", {})),
            measured=measured,
        )

    def _path(self, cell: Cell) -> Path:
        script = f"{cell.script.recipe}-{cell.script.kind}"
        return self.cache.trial_path(cell.environment.name, cell.mode, script)

    def _fingerprint(self, cell: Cell) -> str:
        """A hash of all that decides the result: script, probe, environment and reference."""
        loss = float(self.parity[cell.script.reference]["loss"])
        facts = f"{cell.environment.fingerprint} {cell.mode} {loss:.5g}".encode()
        parts = (facts, cell.script.path.read_bytes(), PROBE.read_bytes())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _without(wanted: Sequence[Cell], trials: Iterable[Trial]) -> list[Cell]:
    keys = {trial.key for trial in trials}
    return [cell for cell in wanted if cell.key not in keys]


def _plain(value: Any) -> Any:
    """A value for JSON, which has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=lambda name: None)


def _explain(error: OSError) -> str:
    return f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")


@dataclasses.dataclass(frozen=True)
class Matrix:
    """Trials, and the machine that made them.

    Args:
        machine: processor, cores, system.
        trials: in the order of the table.
    """

    machine: dict[str, Any]
    trials: tuple[Trial, ...]

    def __getitem__(self, key: tuple[str, str, str, str]) -> Trial | None:
        """The trial of a recipe, kind of script, environment and mode, or None."""
        return next((trial for trial in self.trials if trial.key == key), None)

    def updated(self, trials: Iterable[Trial]) -> "Matrix":
        """The matrix with newer trials in place of those with the same key, in table order."""
        known = {trial.key: trial for trial in (*self.trials, *trials)}
        order = {
            cell.key: place
            for place, cell in enumerate(
                cells(CATALOGUE.values(), ENVIRONMENTS.values(), ("on", "off"))
            )
        }
        ordered = sorted(
            known.values(), key=lambda trial: (order.get(trial.key, len(order)), trial.key)
        )
        return Matrix(describe_machine(), tuple(ordered))

    def differences(self, trials: Iterable[Trial]) -> list[tuple[Trial, Trial | None]]:
        """Trials whose verdict differs here or that are missing here, each with the old trial."""
        pairs = [(trial, self[trial.key]) for trial in trials]
        return [(new, old) for new, old in pairs if old is None or old.verdict != new.verdict]

    def to_json(self) -> str:
        """The matrix as JSON, as it is committed."""
        trials = [dataclasses.asdict(trial) for trial in self.trials]
        return json.dumps({"machine": self.machine, "trials": trials}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> "Matrix":
        """Read what `to_json` wrote.

        Raises:
            LabError: the text is not such a matrix.
        """
        try:
            stored = _parse(text)
            return cls(dict(stored["machine"]), tuple(Trial(**trial) for trial in stored["trials"]))
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(
                f"{source} holds no results of the recipes lab: {error}. "
                "Expected a file that `kelbo recipes run --save` wrote."
            ) from None


def describe_machine() -> dict[str, Any]:
    """The machine that runs the trials."""
    return {
        "system": platform.platform(aliased=True),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
