"""The doctor finds in each fixture what it has, and what fixtures claim is measured."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kelbo.clinic.doctor import all_rules, examine, load
from tests.clinic.doctor.fixtures import ENVIRONMENTS, FIXTURES

ROOT = Path(__file__).parents[3]
# Scripts for one process: most of its time it would import TensorFlow for fewer.
BATCH = 64
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)
CLAIMS = [(fixture, where) for fixture in FIXTURES for where in fixture.claims]


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_the_doctor_finds_what_the_fixture_has(fixture):
    found = examine(load(str(fixture.path)))
    assert {(finding.place.line, finding.rule.code) for finding in found} == fixture.expected


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_each_rule_has_its_pair(rule):
    pair = {fixture.path.stem: fixture for fixture in FIXTURES if rule.code in fixture.path.stem}
    assert list(pair) == [f"{rule.code}-broken", f"{rule.code}-healthy"]
    assert {code for _, code in pair[f"{rule.code}-broken"].expected} == {rule.code}
    assert not pair[f"{rule.code}-healthy"].expected


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each script, by (environment, path): a process for a batch of them."""
    folder = tmp_path_factory.mktemp("fixtures")

    def run(number, environment, paths):
        jobs, results = folder / f"{number}-jobs.json", folder / f"{number}-results.json"
        jobs.write_text(json.dumps(paths))
        backend = next((name for name in ("jax", "torch") if name in environment), "tensorflow")
        legacy = {"TF_USE_LEGACY_KERAS": "1"} if "keras 2" in environment else {}
        inherited = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
        mode = "graph" if "graph" in environment else "eager"
        finished = subprocess.run(
            [sys.executable, "-m", "tests.clinic.doctor.run_fixtures", jobs, results, mode],
            cwd=ROOT,
            env={**inherited, "KERAS_BACKEND": backend, **legacy, **ONE_THREAD},
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished.stderr
        return {(environment, path): what for path, what in json.loads(results.read_text()).items()}

    batches = []
    for environment in ENVIRONMENTS:
        paths = [str(fixture.path) for fixture, where in CLAIMS if where == environment]
        batches += [(environment, paths[k : k + BATCH]) for k in range(0, len(paths), BATCH)]
    batches.sort(key=lambda batch: len(batch[1]), reverse=True)
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda batch: run(batch[0], *batch[1]), enumerate(batches))
        return {key: what for found in done for key, what in found.items()}


@pytest.mark.parametrize(
    ("fixture", "where"), CLAIMS, ids=lambda value: getattr(value, "name", value)
)
def test_what_a_fixture_claims_is_measured(fixture, where, outcomes):
    claimed, outcome = fixture.claims[where], outcomes[where, str(fixture.path)]
    if claimed == "trains":
        assert outcome == "trains"
    else:
        # Keras wraps messages: "in user code: ... TypeError: You are passing ...".
        kind, message = re.fullmatch(r"(\w+):? ?(.*)", claimed).groups()
        assert outcome.startswith(f"{kind}:"), outcome
        assert re.search(r"(^|: |\n)\s*" + re.escape(message), outcome), outcome
