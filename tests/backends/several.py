"""Tests that need devices of their own: pytest runs a file of them in a process that has them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 300  # seconds; a worker whose partner has failed waits for it forever


def run(file, processes=({},), **environment):
    """Run the tests of a file in one process, or in several at once, each with its environment.

    Args:
        file: the tests, by their path.
        processes: what each process has in its environment besides.
        environment: what all have.

    Returns:
        What they printed, where a test failed; otherwise nothing.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for own in processes
    ]
    try:
        printed = [process.communicate(timeout=LIMIT)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return "\n".join(p for p, process in zip(printed, started, strict=True) if process.returncode)


def free_ports(count):
    """Ports of the loopback that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
