"""The doctor finds in each fixture what it has, and what fixtures claim is measured."""

import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from kelbo.clinic.doctor import all_rules, examine, load
from tests.clinic.doctor.fixtures import ENVIRONMENTS, FIXTURES
from tests.processes import run_jobs
from tests.sampling import drawn

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
def outcomes(request):
    """What became of each script, by environment and path: a process for each environment."""
    paths = defaultdict(list)
    test = "test_what_a_fixture_claims_is_measured"
    for fixture, where in drawn(request, test, "fixture", "where"):
        paths[where].append(str(fixture.path))

    def run(environment):
        assert environment in ENVIRONMENTS
        backend = next((name for name in ("jax", "torch") if name in environment), "tensorflow")
        legacy = {"TF_USE_LEGACY_KERAS": "1"} if "keras 2" in environment else {}
        mode = "graph" if "graph" in environment else "eager"
        module = "tests.clinic.doctor.run_fixtures"
        return run_jobs(module, paths[environment], mode, KERAS_BACKEND=backend, **legacy)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(paths, pool.map(run, paths), strict=True))


@pytest.mark.sample(10, each=lambda fixture, where: where)
@pytest.mark.parametrize(
    ("fixture", "where"), CLAIMS, ids=lambda value: getattr(value, "name", value)
)
def test_what_a_fixture_claims_is_measured(fixture, where, outcomes):
    claimed, outcome = fixture.claims[where], outcomes[where][str(fixture.path)]
    if claimed == "trains":
        assert outcome == "trains"
    else:
        # Keras wraps messages: "in user code: ... TypeError: You are passing ...".
        kind, message = re.fullmatch(r"(\w+):? ?(.*)", claimed).groups()
        assert outcome.startswith(f"{kind}:"), outcome
        assert re.search(r"(^|: |\n)\s*" + re.escape(message), outcome), outcome
