"""One trial: a script of the catalogue, run by an interpreter in one mode, and judged."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kelbo.recipes.verdict import FAILS, judge

PROBE = Path(__file__).with_name("probe.py")

# Seconds; the slowest trial that was measured took 40.
TIME_LIMIT = 300.0

# What must not leak from the caller's environment into a trial.
_REMOVED = ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS")

# Lines of output kept of a trial that died.
_TAIL = 20


def try_script(
    script: Path,
    parity: Path,
    mode: str,
    python: Path,
    variables: Mapping[str, str],
    time_limit: float = TIME_LIMIT,
) -> dict[str, Any]:
    """Run one script in a process of its own, on the CPU, and judge what was measured.

    Args:
        script: the recipe or its repair.
        parity: the .npz with weights, images, noise and reference.
        mode: "on" or "off" for TensorFlow; "-" where there is nothing to switch.
        python: the interpreter.
        variables: of the environment of the process, beside the caller's.
        time_limit: seconds until it is killed, with all that it started.

    Returns:
        `verdict` and `reason`, beside what the probe measured.
    """
    with tempfile.TemporaryDirectory(prefix="kelbo-trial-") as folder:
        result_path = Path(folder) / "result.json"
        # Isolated: nothing of the caller's working directory or of kelbo's folders is importable.
        command = [python, "-I", "-W", "ignore", PROBE, script, parity, mode, result_path]
        with (Path(folder) / "output").open("w+b") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_environment(variables, Path(folder)),
                start_new_session=True,
            )
            try:
                code = process.wait(time_limit)
            except subprocess.TimeoutExpired:
                return _failure(f"It did not finish in {time_limit:.0f} s.", "TimeoutExpired")
            finally:
                _kill(process)
            output.seek(0)
            lines = output.read().decode("utf-8", "replace").splitlines()[-_TAIL:]
        if not result_path.exists():
            return {**_failure(_death(code), "Died"), "output": lines}
        result = json.loads(result_path.read_text())
    verdict, reason = judge(result)
    return {"verdict": verdict, "reason": reason, **result}


def _environment(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _REMOVED}
    return {
        **kept,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",  # the same arithmetic everywhere
        "JAX_PLATFORMS": "cpu",
        "KERAS_HOME": str(folder),  # nobody's keras.json
        **variables,
    }


def _kill(process: subprocess.Popen) -> None:
    """End the process and what it started; nothing happens where all have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _failure(reason: str, kind: str) -> dict[str, Any]:
    return {"verdict": FAILS, "reason": reason, "error": {"type": kind, "message": reason}}


def _death(code: int) -> str:
    if code < 0:
        return f"Its process was killed by {signal.Signals(-code).name}."
    return f"Its process ended with exit code {code} and without a result."
