"""The sample that `make test` runs of long tests."""

from types import SimpleNamespace

import pytest

from tests.sampling import draw


def case(number, mark):
    return SimpleNamespace(
        nodeid=f"test_it.py::test_it[{number}]",
        callspec=SimpleNamespace(params={"number": number}),
        get_closest_marker=lambda name: mark,
    )


EACH = pytest.mark.sample(2, each=lambda number: number % 3).mark
CASES = [case(number, EACH) for number in range(30)]


def run(cases, seed):
    left_out = draw(cases, seed)
    return [case.callspec.params["number"] for case in cases if case not in left_out]


def test_as_many_of_each_group_run_as_the_mark_says():
    drawn = run(CASES, "0")
    assert sorted(number % 3 for number in drawn) == [0, 0, 1, 1, 2, 2]


def test_a_seed_draws_the_same_again_and_all_seeds_together_draw_every_case():
    assert run(CASES, "1") == run(CASES, "1")
    assert {number for seed in range(99) for number in run(CASES, seed)} == set(range(30))


def test_a_case_that_is_named_runs_always_and_so_does_what_is_not_sampled():
    assert all(run([case], seed) for case in CASES for seed in range(5))
    assert run([case(number, None) for number in range(9)], "0") == list(range(9))
