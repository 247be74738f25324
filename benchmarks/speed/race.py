"""Races contestants on the same work, in turn: each of them trains, then each of them goes on.

A process that has waited for the others is slow for a while: the others have filled the caches, and
on TensorFlow tf.data's autotuner may go on sleeping for as long as the process waited
(`kelbo.backends.tensorflow.untuned`). So a turn is two epochs, of which the second is timed. A
contestant that runs alone waits for nobody.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.speed.contestants import ENTRIES
from benchmarks.speed.work import Work

ROOT = Path(__file__).parents[2]
# How far a loss at the common weights may be from the median of all.
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}
# Seconds in which a contestant must build its model, or train an epoch, compiling included.
PATIENCE = 900.0
# How many of the last lines that a failed contestant printed are shown.
SHOWN = 40


class Failed(Exception):
    """Why a contestant does not take part, or no longer does."""


def race(
    work: Work, names: Iterable[str], device: str, rounds: int, patience: float = PATIENCE
) -> dict[str, Any]:
    """Let contestants train in turn, after a warm-up turn each; those that fail are left out.

    Returns:
        {"work": ..., "contestants": {name: ...}, "absent": {name: why}}. A contestant has
        `seconds` and `processor_seconds` of each round, `losses` of the last epoch of each turn,
        the warm-up's first, and what is measured once.
    """
    names = list(names)
    epochs_in_turn = min(2, len(names))
    result: dict[str, Any] = {"work": asdict(work), "contestants": {}, "absent": {}}
    started: list[Runner] = []
    runners: dict[str, Runner] = {}

    def leave_out(name: str, why: str) -> None:
        print(f"  {name}: absent, {why}", file=sys.stderr)
        result["absent"][name] = why
        runners.pop(name, None)

    try:
        for name in names:
            try:
                check_presence(name, work)
                started.append(Runner(name, work, device, rounds + 1, epochs_in_turn, patience))
                started[-1].start()
                runners[name] = started[-1]
            except Failed as failure:
                leave_out(name, str(failure))
        losses = {name: runner.start_answer["loss"] for name, runner in runners.items()}
        if None not in losses.values():
            for name, why in of_another_loss(losses, TOLERANCE[work.precision]).items():
                leave_out(name, why)
            result |= agreement([losses[name] for name in runners])
        for number in range(rounds + 1):
            # Each is early in one round and late in the next.
            for name in list(runners)[:: 1 if number % 2 == 0 else -1]:
                try:
                    runners[name].turn()
                except Failed as failure:
                    leave_out(name, str(failure))
        for name, runner in runners.items():
            result["contestants"][name] = runner.finish()
    finally:
        for runner in started:
            runner.close()
    return result


def check_presence(name: str, work: Work) -> None:
    """Check that a contestant can take part.

    Raises:
        Failed: it cannot.
    """
    entry = ENTRIES[name]
    if missing := entry.missing():
        raise Failed(f"not installed: {', '.join(missing)}")
    if work.importance_samples > entry.samples:
        raise Failed("it has no importance-weighted bound to compare")


def of_another_loss(losses: dict[str, float], tolerance: float) -> dict[str, str]:
    """The contestants whose loss at the common weights is not the median of all, and why."""
    finite = [loss for loss in losses.values() if math.isfinite(loss)]
    middle = statistics.median(finite) if finite else math.nan
    return {
        name: f"its loss at the common weights is {loss}, and the median of all is {middle}"
        for name, loss in losses.items()
        if not abs(loss / middle - 1.0) <= tolerance  # true of NaN, too
    }


def agreement(losses: list[float]) -> dict[str, float]:
    """The median of the losses at the common weights, and the largest distance from it."""
    if not losses:
        return {}
    middle = statistics.median(losses)
    deviation = max(abs(loss / middle - 1.0) for loss in losses)
    return {"loss_at_start": middle, "loss_deviation": deviation}


class Runner:
    """The process of one contestant."""

    def __init__(
        self, name: str, work: Work, device: str, turns: int, epochs_in_turn: int, patience: float
    ):
        self.name = name
        self.rows = work.rows
        self.epochs_in_turn = epochs_in_turn
        self.patience = patience
        self.turns: list[list[dict[str, float]]] = []
        epochs = turns * epochs_in_turn
        self.errors = tempfile.TemporaryFile("w+")
        task = {"name": name, "device": device, "work": asdict(work), "epochs": epochs}
        task["started"] = time.time()
        environment = {
            **os.environ,
            "KERAS_BACKEND": ENTRIES[name].backend or "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # Several share one device.
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        }
        if device == "cpu":
            environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.worker", json.dumps(task)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def start(self) -> None:
        """Wait until the contestant is built.

        Raises:
            Failed: that failed.
        """
        self.start_answer = self._answer()

    def turn(self) -> None:
        """Let it train the epochs of a turn.

        Raises:
            Failed: that failed.
        """
        answers = []
        for _ in range(self.epochs_in_turn):
            # A write to a process that has ended may fail: its answer will be missing, too.
            with suppress(BrokenPipeError):
                self.process.stdin.write("go\n")
                self.process.stdin.flush()
            answers.append(self._answer())
        self.turns.append(answers)
        speed = self.rows / answers[-1]["seconds"]
        loss = answers[-1]["loss"]
        print(f"  {self.name:40} {speed:10,.0f}/s  loss {loss:.2f}", file=sys.stderr)

    def finish(self) -> dict[str, Any]:
        """All that was measured of the contestant."""
        try:
            last = self._answer()
        except Failed as failure:  # its epochs were measured all the same
            print(f"  {self.name}: its memory is unknown, {failure}", file=sys.stderr)
            last = {"peak_memory": None, "peak_device_memory": None, "notes": []}
        self._wait()
        for note in last["notes"]:
            print(f"  {self.name}: {note}", file=sys.stderr)
        first = self.turns[0][0]
        warm = [turn[-1] for turn in self.turns[1:]]
        median = statistics.median(epoch["seconds"] for epoch in warm)
        return {
            "samples_per_second": self.rows / median,
            "seconds": [epoch["seconds"] for epoch in warm],
            "processor_seconds": [epoch["processor_seconds"] for epoch in warm],
            "losses": [turn[-1]["loss"] for turn in self.turns],
            "loss_at_start": self.start_answer["loss"],
            "seconds_to_first_epoch": first["since_start"],
            "compile_seconds": max(first["seconds"] - median, 0.0),
            "device": self.start_answer["device"],
            "versions": self.start_answer["versions"],
            **last,
        }

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            # What could not be written to a process that failed is no loss.
            with suppress(BrokenPipeError):
                stream.close()

    def _answer(self) -> dict[str, Any]:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(self.patience, give_up)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        answer = json.loads(line) if line else {"failed": self._end()}
        if "failed" in answer:
            why = f"nothing for {self.patience:.0f} s" if late.is_set() else answer["failed"]
            self._show_errors()
            raise Failed(f"it failed: {why}")
        return answer

    def _end(self) -> str:
        """How a process ended that gave no answer."""
        return f"it ended with exit code {self._wait()}"

    def _wait(self) -> int:
        """Wait for the end as long as for an answer; a process that hangs there is killed."""
        try:
            return self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _show_errors(self) -> None:
        self._wait()
        self.errors.seek(0)
        for line in self.errors.readlines()[-SHOWN:]:
            print(f"    {line.rstrip()}", file=sys.stderr)
