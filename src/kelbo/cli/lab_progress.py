"""Progress of the recipes lab on stderr: a bar of cells, and a line for each that is done."""

import threading
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from kelbo.cli.console import say, stderr
from kelbo.clinic.recipes.cache import Cache
from kelbo.clinic.recipes.environments import Environment
from kelbo.clinic.recipes.matrix import Trial, Watcher
from kelbo.clinic.recipes.verdict import FAILS, MARKS, NOT_AVAILABLE, WORKS, WRONGLY

_STYLES = {WORKS: "green", WRONGLY: "yellow", FAILS: "red", NOT_AVAILABLE: "dim"}


class LabProgress(Watcher):
    """Draws what the lab does; use it as a context, so that the bar always goes away.

    Args:
        cache: says how much space an environment takes.
        cells: how many cells there are; None if that is not known.
    """

    def __init__(self, cache: Cache, cells: int | None):
        self.cache = cache
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=stderr,
            expand=True,
            transient=True,
        )
        self.task = self.progress.add_task("trials", total=cells)
        self.warned = False
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        if stderr.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        # Rich would leave an empty line if it was not started.
        if stderr.is_terminal:
            self.progress.stop()

    def building(self, environment: Environment) -> None:
        """Say which environment is being built."""
        self.progress.update(self.task, description=f"building {environment.name}")
        if not stderr.is_terminal:
            say(f"Building {environment.name}: {environment.title}, Python {environment.python}")

    def built(self, environment: Environment) -> None:
        """Say how much space the environment takes, and all of them together."""
        sizes = self.cache.sizes()
        mine = sizes[self.cache.directory(environment).name]
        say(
            f"Built {environment.name}: {mine / 1e6:,.0f} MB; "
            f"all environments: {sum(sizes.values()) / 1e9:.1f} GB",
            style="dim",
        )

    def waiting(self, environment: Environment) -> None:
        """Say what this run waits for."""
        say(f"Another run of kelbo uses {environment.name}; waiting for it.", style="yellow")

    def tried(self, trial: Trial) -> None:
        """Leave a line for the trial, and move the bar."""
        script = trial.recipe + (", repaired" if trial.script == "repair" else "")
        line = f"{MARKS[trial.verdict]} {trial.environment:<22} {trial.mode:<3} {script:<26} "
        line += trial.reason or trial.verdict
        # Trials end in different threads.
        with self.lock:
            text = Text(line, _STYLES[trial.verdict])
            if stderr.is_terminal:
                stderr.print(text, no_wrap=True, overflow="ellipsis")
            else:
                stderr.print(text, soft_wrap=True)
            self.progress.update(
                self.task, advance=1, description=f"{trial.environment} {trial.mode}"
            )

    def unsaved(self, error: OSError) -> None:
        """Say it once: the results of this run are complete, but the next will not know them."""
        with self.lock:
            if not self.warned:
                say(
                    f"Results cannot be kept for the next run: {error.strerror or error}. "
                    "This run goes on.",
                    style="yellow",
                )
            self.warned = True
