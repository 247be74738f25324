"""Resolves the pins of the environments: `python -m kelbo.clinic.recipes.lock [NAME...]`.

Writes `locks/NAME.txt` beside this file: every package that the pins bring, with its exact version.
"""

import re
import sys
from pathlib import Path

from kelbo.clinic.recipes.build import run_uv
from kelbo.clinic.recipes.environments import find_environments
from kelbo.clinic.recipes.interpreters import find_interpreter
from kelbo.files import write_text

_LOCKS = Path(__file__).parent / "locks"


def lock(names: list[str]) -> None:
    """Write the locks of these environments, or of all of them.

    Raises:
        UsageError: a name is unknown.
        UnavailableError: the pins cannot be resolved.
    """
    for environment in find_environments(names):
        pins = _LOCKS / f"{environment.name}.in"
        write_text(pins, "".join(f"{pin}\n" for pin in environment.pins))
        try:
            python = find_interpreter(environment.python) or environment.python
            arguments = ["pip", "compile", "--no-header", "--no-annotate", "--python", str(python)]
            resolved = run_uv([*arguments, str(pins)], time_limit=600.0)
        finally:
            pins.unlink()
        # A build for one machine, such as torch's +cpu, is not on PyPI.
        write_text(_LOCKS / f"{environment.name}.txt", re.sub(r"\+\w+", "", resolved))
        print(environment.name, len(resolved.splitlines()), "packages")


if __name__ == "__main__":
    lock(sys.argv[1:])
