"""Python in processes of its own: each takes seconds to start, so each does a table of jobs."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Several run at the same time; tests/conftest.py has the variable of the other backends.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def python(*arguments, **variables):
    """Run `python ARGUMENTS` in the project's folder, with these variables of the environment."""
    inherited = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**inherited, **ONE_THREAD, **variables},
        capture_output=True,
        text=True,
    )


def run_jobs(module, jobs, mode, **variables):
    """What `python -m MODULE JOBS.json RESULTS.json MODE` writes down of these jobs."""
    with tempfile.TemporaryDirectory() as folder:
        todo, results = Path(folder) / "jobs.json", Path(folder) / "results.json"
        todo.write_text(json.dumps(jobs), encoding="utf-8")
        done = python("-m", module, todo, results, mode, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(results.read_text(encoding="utf-8"))
