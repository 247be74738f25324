"""Running the program: in this process, which is quick, or in one of its own."""

import contextlib
import io
import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import keras

from kelbo.cli import main

# A training of about a second.
SMALL = ("--network", "mlp", "--latent-dim", "2", "--epochs", "1", "--samples", "2")
MNIST = ("--data", "mnist", "--train-limit", "128", "--test-limit", "32")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def kelbo(*arguments):
    """Run `kelbo ARGUMENTS` in this process, on the backend that the tests run on."""
    out, err = io.StringIO(), io.StringIO()
    logger = logging.getLogger("kelbo")
    before = logger.propagate, list(logger.handlers), sys.argv
    sys.argv = ["kelbo", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        logger.propagate, logger.handlers, sys.argv = before
    return Result(code, out.getvalue(), err.getvalue())


def refused(*arguments, code):
    """Run a command that has to fail with one message; return the message in one line."""
    result = kelbo(*arguments)
    assert result.code == code, result
    assert result.out == ""
    assert len(re.findall("^Error: ", result.err, re.MULTILINE)) == 1
    assert "Traceback" not in result.err
    assert "did not foresee" not in result.err
    return " ".join(result.err[result.err.index("Error: ") :].split())


def process(*arguments, before="", **options):
    """Start `kelbo ARGUMENTS` as a process of its own.

    Args:
        arguments: of the command line.
        before: Python to run first.
        options: of `subprocess.Popen`.
    """
    # Keras seeds, and so imports, every backend that it finds; one is enough here.
    backend = options.pop("backend", keras.backend.backend())
    others = {"tensorflow", "jax", "torch"} - {backend}
    script = f"import sys\nsys.modules.update(dict.fromkeys({sorted(others)}))\n{before}\n"
    script += "from kelbo.cli import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
        **options,
    )
