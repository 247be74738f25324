"""Parity with pythae: what is stored holds what it says."""

import json

import pytest

from benchmarks import parity


def found(ours=1.0, theirs=1.0, gradient_apart=0.0):
    return {"ours": ours, "theirs": theirs, "gradient_apart": gradient_apart}


SAME, OTHER = parity.Row("VAE", None), parity.Row("VAE", None, why="kelbo: a reason")


@pytest.mark.parametrize(
    ("row", "measured"),
    [
        (SAME, found(theirs=1.01)),
        (SAME, found(gradient_apart=0.01)),
        (OTHER, found()),
    ],
)
def test_a_row_that_does_not_hold_what_it_says_is_not_stored(row, measured):
    with pytest.raises(SystemExit, match="Nothing is stored"):
        parity.check("a model", row, measured)


def test_what_is_stored_holds_and_is_on_the_page():
    results = json.loads(parity.RESULTS.read_text())
    assert set(results["rows"]) == set(parity.ROWS)
    for name, row in parity.ROWS.items():
        parity.check(name, row, results["rows"][name])
        assert f"| {name} | `{row.theirs}` |" in parity.page(results)
    assert parity.PAGE.read_text() == parity.page(results)


def test_the_gaussian_s_constant():
    assert parity.gaussian_constant(1.0) == pytest.approx(parity.FEATURES * 0.9189385)
