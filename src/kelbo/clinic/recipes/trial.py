"""One trial: a script of the catalogue, run by an interpreter in one mode, and judged."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kelbo.clinic.recipes.processes import Ended, run
from kelbo.clinic.recipes.verdict import FAILS, NOT_AVAILABLE, judge

PROBE = Path(__file__).with_name("probe.py")

# Seconds; the slowest trial so far took 40.
TIME_LIMIT = 300.0

# Variables with these prefixes must not leak from the caller into a trial: they change results.
_REMOVED = ("JAX_", "KERAS_", "PYTORCH_", "TF_", "TORCH_", "XLA_")

# Signals from outside: somebody killed the process, or the system did for lack of memory.
_FROM_OUTSIDE = (9, 15)  # SIGKILL, SIGTERM

# What TensorFlow's libraries log when all is well.
_LOG = re.compile(r"[IW]\d{4}\b|WARNING|INFO|\d{4}-\d\d-\d\d \S+ [IW] ").match


def try_script(
    script: Path,
    parity: Path,
    mode: str,
    python: Path,
    variables: Mapping[str, str],
    time_limit: float = TIME_LIMIT,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Run one script in a process of its own, on the CPU, and judge what was measured.

    Args:
        script: the recipe or its repair.
        parity: the .npz with weights, images, noise and reference.
        mode: "on" or "off" for TensorFlow; "-" if there is nothing to switch.
        python: the interpreter.
        variables: environment variables of the process, beside the caller's.
        time_limit: seconds until it is killed, with all that it started.
        stop: kills it when set.

    Returns:
        `verdict` and `reason`, beside what the probe measured. `died` is there if the process gave
        no
        result: the machine may be at fault, and another time may go another way.

    Raises:
        StoppedError: `stop` was set.
        OSError: the interpreter cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="kelbo-trial-") as name:
        folder = Path(name)

        def probe(script: Path) -> dict[str, Any] | Ended:
            return _probe([script, parity, mode], python, variables, folder, time_limit, stop)

        try:
            result = probe(script)
            if isinstance(result, Ended) and -result.code in _FROM_OUTSIDE:
                return _died(NOT_AVAILABLE, _death(result), "Died")
            if isinstance(result, Ended):
                # Is it the recipe, or does the framework die without any?
                nothing = folder / "nothing.py"
                nothing.write_text("")
                if isinstance(probe(nothing), Ended):
                    reason = f"The environment does not run. {_death(result)}"
                    return _died(NOT_AVAILABLE, reason, "Died")
                return _died(FAILS, _death(result), "Died")
        except subprocess.TimeoutExpired:
            return _died(FAILS, f"It did not finish in {time_limit:g} s.", "TimeoutExpired")
    verdict, reason = judge(result)
    return {"verdict": verdict, "reason": reason, **result}


def _probe(
    arguments: Sequence[str | Path],
    python: Path,
    variables: Mapping[str, str],
    folder: Path,
    time_limit: float,
    stop: threading.Event | None,
) -> dict[str, Any] | Ended:
    """What the probe measured, or how it died."""
    path = folder / "result.json"
    # Isolated: nothing of the caller's working directory or of kelbo's folders is importable.
    command = [python, "-I", "-B", "-W", "ignore", PROBE, *arguments, path]
    ended = run(command, time_limit, _environment(variables, folder), folder, stop)
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        result = None
    return result if isinstance(result, dict) and "stage" in result else ended


def _environment(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED)}
    return {
        **kept,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",  # the same arithmetic everywhere
        "JAX_PLATFORMS": "cpu",
        "KERAS_TORCH_DEVICE": "cpu",
        "KERAS_HOME": str(folder),  # nobody's keras.json
        **variables,
    }


def _died(verdict: str, reason: str, kind: str) -> dict[str, Any]:
    error = {"type": kind, "message": reason}
    return {"verdict": verdict, "reason": reason, "error": error, "died": True}


def _death(ended: Ended) -> str:
    if ended.code >= 0:
        how = f"Its process ended with exit code {ended.code} and without a result"
    else:
        how = f"Its process was killed by {_signal(-ended.code)}"
        if -ended.code in _FROM_OUTSIDE:
            return f"{how}, from outside: there may be too little memory."
    lines = [line for line in map(str.strip, ended.err.splitlines()) if line and not _LOG(line)]
    return f"{how}: {lines[-1]}" if lines else f"{how}."


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals, which have no names
        return f"signal {number}"
