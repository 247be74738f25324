"""A live progress bar for a training, on stderr."""

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# Shown in this order, those that the model reports.
_SHOWN = ("loss", "elbo", "reconstruction", "kl", "beta")


class _Speed(ProgressColumn):
    """Training images a second."""

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed * self.batch_size:,.0f} samples/s" if speed else "")


class ProgressBar(keras.callbacks.Callback):
    """Batch, loss, ELBO and KL in nats, samples a second and time left of every epoch.

    Where stderr is no terminal there is one line an epoch instead.

    Args:
        console: where to draw.
        batch_size: images in a batch.
        batches: batches in an epoch.
    """

    def __init__(self, console: Console, batch_size: int, batches: int):
        super().__init__()
        self.console = console
        self.batches = batches
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Speed(batch_size),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[terms]}"),
            console=console,
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
        name = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self.task = self.progress.add_task(name, total=self.batches, terms="")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar."""
        # `batch` may jump by several when Keras runs several steps in one execution.
        self.progress.update(self.task, completed=batch + 1, terms=_terms(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Leave one line behind, with the validation's figures."""
        seconds = time.perf_counter() - self.start
        self.progress.remove_task(self.task)
        self.console.print(
            f"Epoch {epoch + 1}/{self.params['epochs']}  {seconds:.1f} s  {_terms(logs)}",
            highlight=False,
        )

    def close(self) -> None:
        """Take the bar away, also after an interruption."""
        self.progress.stop()


def _terms(logs: dict[str, float] | None) -> str:
    """The terms, with those of the validation in brackets."""
    logs = logs or {}
    parts = []
    for name in _SHOWN:
        if name not in logs:
            continue
        part = f"{name} {_number(logs[name])}"
        if f"val_{name}" in logs:
            part += f" (test {_number(logs[f'val_{name}'])})"
        parts.append(part)
    return "  ".join(parts)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 10.0 else f"{value:.4g}"
