"""A live progress bar for a training, on stderr, that fits the width of the terminal."""

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# There is room for the units from this width on, in columns.
_WIDE = 100


class _Speed(ProgressColumn):
    """Training images per second."""

    def __init__(self, batch_size: int, unit: str):
        super().__init__()
        self.batch_size = batch_size
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        number = f"{speed * self.batch_size:,.0f}" if speed else "-"
        return Text(f"{number:>6}{self.unit}", no_wrap=True)


class ProgressBar(keras.callbacks.Callback):
    """Batch, loss, ELBO and KL in nats, samples per second and time left in every epoch.

    A line stays for each finished epoch; if stderr is not a terminal, there is nothing else.

    Args:
        console: where to draw.
        batch_size: images in a batch.
        batches: batches in an epoch.
    """

    chunk_safe = True

    def __init__(self, console: Console, batch_size: int, batches: int):
        super().__init__()
        self.console = console
        self.batches = batches
        self.wide = console.width >= _WIDE
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),  # what the others leave
            MofNCompleteColumn(),
            TextColumn("{task.fields[terms]}"),
            _Speed(batch_size, " samples/s" if self.wide else "/s"),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
            refresh_per_second=5,
            speed_estimate_period=10,
            transient=True,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Show the bar."""
        if self.console.is_terminal:
            self.progress.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start a bar for the epoch."""
        self.start = time.perf_counter()
        self.name = f"Epoch {epoch + 1}/{self.params['epochs']}"
        # Reserve room for the terms from the start, or the bar would jump when they come.
        self.room = len(self._terms(dict.fromkeys(("loss", *self.model.objective.logged), 0.0)))
        terms = " " * self.room
        self.task = self.progress.add_task(self.name, total=self.batches, terms=terms)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar."""
        # `batch` may jump by several when Keras runs several steps in one execution.
        self.progress.update(self.task, completed=batch + 1, terms=self._terms(logs or {}))

    def on_test_begin(self, logs: Any = None) -> None:
        """Say what the wait at the end of an epoch is for."""
        self.progress.update(self.task, terms=f"{'testing':<{self.room}}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Leave one line, with the figures of the test images in brackets."""
        seconds = time.perf_counter() - self.start
        self.progress.remove_task(self.task)
        self.console.print(
            f"{self.name}  {seconds:.1f} s  {_summary(logs or {})}", highlight=False, soft_wrap=True
        )

    def close(self) -> None:
        """Remove the bar, even after an interruption."""
        # Where it was not started, Rich would leave an empty line.
        if self.console.is_terminal:
            self.progress.stop()

    def _terms(self, logs: dict[str, float]) -> str:
        """The running means, each as wide as it will be all through the epoch."""
        unit = " nats" if self.wide else ""
        parts = [f"loss {_number(logs['loss']):>6}"] if "loss" in logs else []
        if "elbo" in logs:
            parts.append(f"ELBO {_number(logs['elbo']):>7}{unit}")
            parts.append(f"KL {_number(logs['kl']):>6}{unit}")
        return "  ".join(parts)


def _summary(logs: dict[str, float]) -> str:
    """The figures of a finished epoch in one line of at most 80 columns."""
    parts = [f"loss {_number(logs['loss'])}"]
    if "elbo" in logs:
        parts += [_with_test("ELBO", "elbo", logs), f"KL {_number(logs['kl'])}"]
    else:
        parts[0] = _with_test("loss", "loss", logs)
    if "beta" in logs:
        parts.append(f"beta {logs['beta']:.2g}")
    return "  ".join(parts)


def _with_test(title: str, name: str, logs: dict[str, float]) -> str:
    test = f" (test {_number(logs[f'val_{name}'])})" if f"val_{name}" in logs else ""
    return f"{title} {_number(logs[name])}{test}"


def _number(value: float) -> str:
    """Four or five digits, whatever the size."""
    size = abs(value)
    return f"{value:.4f}" if size < 1.0 else f"{value:.2f}" if size < 1000.0 else f"{value:,.0f}"
