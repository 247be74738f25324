"""Runs a program with a time limit, and ends with it all that it started."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# How many of the last bytes that a program prints on each of its two streams are kept.
_KEPT = 1 << 16

# Seconds between two looks at a running program.
_PAUSE = 0.01


class StoppedError(Exception):
    """The program was killed because somebody asked to stop."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """A program that has ended.

    Args:
        code: its exit code; if negative, the signal that killed it.
        out: the end of what it printed on stdout.
        err: the same for stderr.
    """

    code: int
    out: str
    err: str


def run(
    command: Sequence[str | Path],
    time_limit: float,
    variables: Mapping[str, str],
    folder: Path | None = None,
    stop: threading.Event | None = None,
) -> Ended:
    """Run a program to its end; whatever happens, nothing that it started is left running.

    Args:
        command: the program and its arguments.
        time_limit: seconds until it is killed.
        variables: the whole environment of the process.
        folder: its working directory.
        stop: kills it when set.

    Raises:
        subprocess.TimeoutExpired: the time limit was reached.
        StoppedError: `stop` was set.
        OSError: it cannot be started.
    """
    stop = threading.Event() if stop is None else stop
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=dict(variables),
        start_new_session=True,
    )
    try:
        tails = [_Tail(stream) for stream in (process.stdout, process.stderr) if stream]
        deadline = time.monotonic() + time_limit
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(process.args, time_limit)
            if stop.wait(_PAUSE):
                raise StoppedError
    finally:
        _kill(process)
    out, err = (tail.text() for tail in tails)
    return Ended(process.returncode, out, err)


def _kill(process: subprocess.Popen) -> None:
    """Kill the process and what it started; do nothing if all have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


class _Tail:
    """Reads a stream in a thread, so that it never fills up, and keeps its end."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        self.kept = b""
        # A daemon: a program that left its session may hold the other end for ever.
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with self.stream:
            while chunk := os.read(self.stream.fileno(), 1 << 16):
                self.kept = (self.kept + chunk)[-_KEPT:]

    def text(self) -> str:
        self.thread.join(timeout=1.0)
        return self.kept.decode("utf-8", "replace")
