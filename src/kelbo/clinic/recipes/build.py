"""Builds an environment with uv, and says in plain words why one cannot be built."""

import os
import re
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path

import uv

from kelbo.clinic.recipes.cache import Cache
from kelbo.clinic.recipes.environments import Environment
from kelbo.clinic.recipes.interpreters import find_interpreter
from kelbo.clinic.recipes.processes import run

# Seconds that uv may take for one environment: a gigabyte over a slow line.
TIME_LIMIT = 1800.0

_QUIET = ("--no-progress", "--color", "never")

# What uv says if it cannot reach the network, or may not try.
_UNREACHED = (
    "error sending request|network (?:was|is) disabled|timed out|connection (?:reset|closed)"
)


class UnavailableError(Exception):
    """An environment cannot be had here; the message says why."""


def build(environment: Environment, cache: Cache, time_limit: float = TIME_LIMIT) -> None:
    """Build an environment if it is not there; an interrupted one is built anew.

    The caller holds the environment (`Cache.hold`).

    Raises:
        UnavailableError: there is no interpreter, no network, no room, or a pin does not install.
    """
    if cache.is_built(environment):
        return
    cache.discard(environment)
    directory = cache.directory(environment)
    start = time.monotonic()
    try:
        directory.mkdir(parents=True)
        interpreter = find_interpreter(environment.python)
        # uv would trust the names that pyenv puts on the path, so it has to bring its own.
        source = ["--managed-python"] if interpreter is None else []
        python = environment.python if interpreter is None else str(interpreter)
        run_uv(["venv", *source, "--python", python, "--clear", str(directory)], time_limit)
        install(environment, cache.python(environment), time_limit)
        cache.finish(
            environment,
            {
                "environment": environment.name,
                "python": python,
                "date": date.today().isoformat(),
                "seconds": round(time.monotonic() - start, 1),
            },
        )
    except OSError as error:
        cache.discard(environment)
        raise UnavailableError(f"{error.strerror or error} ({directory})") from None
    except BaseException:
        cache.discard(environment)
        raise


def install(environment: Environment, python: Path, time_limit: float) -> None:
    """Install the requirements of an environment for the interpreter of a virtual environment."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(environment.requirements)
        run_uv(["pip", "install", "--python", str(python), "-r", str(requirements)], time_limit)


def run_uv(arguments: list[str], time_limit: float) -> str:
    """Run uv and return what it printed.

    Raises:
        UnavailableError: it failed.
    """
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    # PyPI's PyTorch for Linux brings gigabytes of CUDA, and the lab computes on the CPU. A user
    # who names a place of their own for wheels has a PyTorch there.
    if not {"UV_FIND_LINKS", "UV_TORCH_BACKEND"} & set(variables):
        variables["UV_TORCH_BACKEND"] = "cpu"
    try:
        ended = run([uv.find_uv_bin(), *_QUIET, *arguments], time_limit, variables)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"uv did not finish in {time_limit:g} s") from None
    except OSError as error:
        raise UnavailableError(f"uv cannot be run: {error}") from None
    if ended.code:
        raise UnavailableError(explain(ended.err))
    return ended.out


def explain(stderr: str) -> str:
    """The reason that uv gives for a failure, in one line.

    Args:
        stderr: all that uv printed.
    """
    causes = re.findall(r"(?:error|cause|Caused by)s?: (.*)", stderr)
    lines = causes or [line for line in stderr.splitlines() if line.strip()] or ["no message"]
    text = " ".join(stderr.split())
    if re.search(r"No space left|os error (?:28|122)\b|disk quota", text, re.I):
        return f"the disk is full: {lines[-1]}"
    if re.search(_UNREACHED, text, re.I):
        fetched = re.search(r"[Ff]ailed to (?:fetch|download):? `?([^`\s]+)", text)
        return f"no network: cannot reach {fetched[1] if fetched else 'the package index'}"
    if "No interpreter found" in text or "Python <" in text:
        return f"no interpreter: {lines[0]}"
    if "No solution found" in text:
        return f"a pin does not install: {lines[-1]}"
    return f"uv failed: {': '.join(dict.fromkeys((lines[0], lines[-1])))}"
