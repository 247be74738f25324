"""Runs a ported script for a few steps on made-up numbers, in a process of its own."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from kelbo.clinic.port.formula import Formula
from kelbo.clinic.recipes import processes

SECONDS = 300.0

# The losses are computed in 32 bits, the formula in 64.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Checked:
    """The outcome of running a ported script.

    Args:
        loss: the loss of one batch as the script computes it, in nats as the script weighs them.
        expected: the same loss by the original's formula, with what layers add as Keras 2 did; None
            if that is not read. Both are of outputs with random numbers added, so that mu and
            log_var are not 0.
        trained: the losses of the steps that follow.
        failure: why there is no loss; empty if there is one.
    """

    loss: float | None = None
    expected: float | None = None
    trained: tuple[float, ...] = ()
    failure: str = ""

    @property
    def equal(self) -> bool:
        """Whether the two losses are known and agree."""
        if self.loss is None or self.expected is None:
            return False
        return abs(self.loss - self.expected) <= _TOLERANCE * max(1.0, abs(self.expected))


def check(
    text: str, beside: Path, formula: Formula | None, backend: str, seconds: float = SECONDS
) -> Checked:
    """Run a ported script up to `fit`, and a few steps further.

    Args:
        text: the script.
        beside: the folder in which it runs, since it may read files there.
        formula: the original's loss, if it is known.
        backend: the backend of Keras.
        seconds: the time limit.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, job, results = (Path(folder) / name for name in ("ported.py", "job", "results"))
        script.write_text(text, encoding="utf-8")
        content = {"script": str(script), "formula": formula and formula.as_json(), "code": text}
        job.write_text(json.dumps(content), encoding="utf-8")
        command: list[str | Path] = [sys.executable, "-m", "kelbo.clinic.port.trial", job, results]
        try:
            ended = processes.run(command, seconds, _variables(backend), beside)
        except TimeoutExpired:
            return Checked(failure=f"it did not end within {seconds:g} seconds.")
        if not results.exists():
            lines = ended.err.strip().splitlines() or [f"exit code {ended.code}"]
            return Checked(failure=lines[-1])
        found = json.loads(results.read_text(encoding="utf-8"))
    return Checked(**{**found, "trained": tuple(found.get("trained", ()))})


def _variables(backend: str) -> Mapping[str, str]:
    return {
        **os.environ,
        "KERAS_BACKEND": backend,
        "MPLBACKEND": "Agg",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
