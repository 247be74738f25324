"""Contestants in turn on the same work: every one trains, then every one goes on.

A process that has waited for the others is slow for a while: others have filled the caches, and
on TensorFlow tf.data's autotuner may sleep on for as long as the process had waited
(`kelbo.untuned_tensorflow`). So a turn is two epochs, and the second one is timed. Who runs alone
waits for nobody.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
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


def race(work: Work, names: Iterable[str], device: str, rounds: int) -> dict[str, Any]:
    """Let contestants train in turn, after a turn each to warm up.

    Returns:
        {"work": ..., "contestants": {name: ...}, "absent": {name: why}}. A contestant has
        `seconds` and `processor_seconds` of each round, `losses` of each turn's last epoch, the
        warm-up's first, and what is measured once.
    """
    names = list(names)
    epochs_in_turn = min(2, len(names))
    result: dict[str, Any] = {"work": asdict(work), "contestants": {}, "absent": {}}
    started: list[Runner] = []
    runners: dict[str, Runner] = {}
    try:
        for name in names:
            why = reason_for_absence(name, work)
            if not why:
                started.append(Runner(name, work, device, rounds + 1, epochs_in_turn))
                why = started[-1].start()
            if why:
                print(f"  {name}: absent, {why}", file=sys.stderr)
                result["absent"][name] = why
            else:
                runners[name] = started[-1]
        for number in range(rounds + 1):
            # Each is early in one round and late in the next.
            for name in list(runners)[:: 1 if number % 2 == 0 else -1]:
                why = runners[name].turn()
                if why:
                    result["absent"][name] = why
                    del runners[name]
        for name, runner in runners.items():
            result["contestants"][name] = runner.finish()
    finally:
        for runner in started:
            runner.close()
    check_losses(work, result)
    return result


def reason_for_absence(name: str, work: Work) -> str:
    """Why a contestant does not take part; empty if it does."""
    entry = ENTRIES[name]
    if missing := entry.missing():
        return f"not installed: {', '.join(missing)}"
    if work.importance_samples > entry.samples:
        return "it has no importance-weighted bound to compare"
    return ""


def check_losses(work: Work, result: dict[str, Any]) -> None:
    """Note how far each loss at the common weights is from the median of all.

    Raises:
        SystemExit: one computes something else.
    """
    losses = {
        name: one["loss_at_start"]
        for name, one in result["contestants"].items()
        if one["loss_at_start"] is not None
    }
    if not losses:
        return
    middle = statistics.median(losses.values())
    result["loss_at_start"] = middle
    result["loss_deviation"] = max(abs(loss / middle - 1.0) for loss in losses.values())
    others = [n for n, v in losses.items() if abs(v / middle - 1.0) > TOLERANCE[work.precision]]
    if others:
        sys.exit(f"No race: the losses at the common weights differ: {losses} ({others}).")


class Runner:
    """The process of one contestant."""

    def __init__(self, name: str, work: Work, device: str, turns: int, epochs_in_turn: int):
        self.name = name
        self.rows = work.rows
        self.epochs_in_turn = epochs_in_turn
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
            environment["CUDA_VISIBLE_DEVICES"] = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.worker", json.dumps(task)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def start(self) -> str:
        """Wait until it is built; why that failed, if it did."""
        answer = self._answer()
        if answer is None:
            return self._failure()
        self.start_answer = answer
        return ""

    def turn(self) -> str:
        """Let it train the epochs of a turn; why that failed, if it did."""
        answers = []
        for _ in range(self.epochs_in_turn):
            try:
                self.process.stdin.write("go\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                return self._failure()
            answer = self._answer()
            if answer is None:
                return self._failure()
            answers.append(answer)
        self.turns.append(answers)
        speed = self.rows / answers[-1]["seconds"]
        loss = answers[-1]["loss"]
        print(f"  {self.name:40} {speed:10,.0f}/s  loss {loss:.2f}", file=sys.stderr)
        return ""

    def finish(self) -> dict[str, Any]:
        """All that was measured."""
        last = self._answer() or {"peak_memory": None, "peak_device_memory": None}
        self.process.wait()
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
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            # What could not be written to a process that failed is no loss.
            with suppress(BrokenPipeError):
                stream.close()

    def _answer(self) -> dict[str, Any] | None:
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def _failure(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return f"it failed: {lines[-1][:200] if lines else f'exit {self.process.returncode}'}"
