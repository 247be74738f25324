"""Stand-ins for what the lab works with: interpreters, environments, results and a watcher."""

import json
import time

import numpy as np

from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.clinic.recipes.environments import Environment
from kelbo.clinic.recipes.matrix import Trial, Watcher
from kelbo.clinic.recipes.releases import LANDMARKS, RELEASES
from kelbo.clinic.recipes.verdict import FAILS, NOT_AVAILABLE, WORKS

RECIPE = CATALOGUE["1-loss-closure"].scripts[0]
REPAIR = CATALOGUE["1-loss-closure"].scripts[1]
BASELINE = CATALOGUE["0-autoencoder"].scripts[0]

# What `kelbo.clinic.recipes.reference.parity_arrays` gives, as far as the lab itself looks at it.
PARITY = {kind: {"loss": np.asarray(0.5)} for kind in ("article", "ae")}


def executable(path, body):
    """A program in the shell's language."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def interpreter(path, body):
    """A stand-in for an environment's Python; `body` sees what the probe would be given."""
    arguments = 'for last; do :; done\nwhile [ "$1" = "${1#*probe.py}" ]; do shift; done\n'
    return executable(path, f'{arguments}recipe="$2" parity="$3" mode="$4" result="$last"\n{body}')


def writes(result):
    """The shell's words for writing a result as the probe does."""
    return f"cat > \"$result\" <<'END'\n{json.dumps(result)}\nEND"


def measured(**changes):
    """What the probe writes of a recipe that works, with changes by name, in `parity` or beside."""
    result = {
        "stage": "done",
        "versions": {"python": "3.11.7", "keras": "3.15.1"},
        "parity": {
            "gradient_error": 2e-6,
            "worst_weight": "mu/kernel",
            "kl_share": 1.0 + 1e-6,
            "kl_error": 3e-6,
            "loss": 0.69314,
            "reference_loss": 0.69315,
            "reported": ["loss"],
        },
        "losses": [0.6, 0.5, 0.4],
    }
    for name, value in changes.items():
        place = result["parity"] if name in result["parity"] else result
        place[name] = value
    return result


def raised(kind, message, stage="train", line=7):
    """What the probe writes of a recipe that raises."""
    return {"stage": stage, "error": {"type": kind, "message": message, "line": line}}


def environment(name="fake", **options):
    """An environment whose pins do not exist."""
    options = {"title": f"The {name}", "python": "3.11", "pins": ("nothing==1.0",), **options}
    return Environment(name=name, **options)


def trial(script=RECIPE, place="tf-2.8", mode="on", verdict="works", reason="", **options):
    """One cell's result."""
    options = {"date": "2026-11-23", "fingerprint": "0" * 12, **options}
    return Trial(script.recipe, script.kind, place, mode, verdict, reason, **options)


TITLES = [release.title for release in RELEASES]


class World:
    """Says what becomes of a script in each release: first `WORKS`, from `turn` on `FAILS`.

    Args:
        turn: number of the first release with the new verdict.
        missing: titles of the releases that cannot be had.
    """

    def __init__(self, turn, missing=()):
        self.turn = turn
        self.missing = missing
        self.asked = []

    def verdict(self, title):
        if title in self.missing:
            return NOT_AVAILABLE
        return WORKS if TITLES.index(title) < self.turn else FAILS

    def run(self, cells):
        """As `Lab.run`."""
        self.asked += cells
        return [
            trial(cell.script, cell.environment.name, cell.mode, verdict, f"{verdict} it is")
            for cell in cells
            for verdict in [self.verdict(cell.environment.title)]
        ]

    def bisected(self):
        """The releases that were tried beside the landmarks."""
        return [cell.environment.title for cell in self.asked[len(LANDMARKS) :]]


class Recorder(Watcher):
    """Writes down what it is told."""

    def __init__(self):
        self.events = []

    def building(self, environment):
        self.events.append(("building", environment.name))

    def built(self, environment):
        self.events.append(("built", environment.name))

    def waiting(self, environment):
        self.events.append(("waiting", environment.name))

    def tried(self, trial):
        self.events.append(("tried", trial.key))

    def unsaved(self, error):
        self.events.append(("unsaved", error.errno))

    def told(self, kind):
        """All that it was told of one kind."""
        return [what for name, what in self.events if name == kind]


def gone(process, patience=10.0):
    """Whether a killed process has ended, or does soon: the system takes a moment to end one."""
    deadline = time.monotonic() + patience
    while _runs(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not _runs(process)


def _runs(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
