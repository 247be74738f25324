"""The examples of docs/objectives.md run, and its table has every objective."""

import re
from pathlib import Path

import numpy as np
import pytest

import kelbo
from kelbo import objectives

PAGE = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text("utf-8")


@pytest.fixture(scope="module")
def names():
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S))
    names = {"__name__": "objectives"}
    exec(compile(code, "objectives.md", "exec"), names)
    return names


def test_its_examples_do_what_they_say(names):
    assert "beta" in names["history"]
    assert names["cyclical"].effective_beta == 2.0
    assert names["model"].effective_beta is None
    assert float(names["disentangled"].objective.count) == 64.0
    assert names["images"].shape == (3, *names["shape"])
    assert not names["wae"].has_bound
    assert np.all(names["sparse"].posterior_mean(names["x"]) > 0.0)


def test_its_table_has_every_objective_with_its_arguments():
    rows = dict(re.findall(r"^\| `(\w+)\((.*?)\)` \|", PAGE, re.M))
    kinds = {
        name: kind
        for name in objectives.__all__
        if isinstance(kind := getattr(kelbo.objectives, name), type)
        and issubclass(kind, kelbo.Objective)
        and kind is not kelbo.Objective
    }
    assert set(rows) == set(kinds)
    for name, kind in kinds.items():
        code = kind.__init__.__code__
        arguments = code.co_varnames[1 : code.co_argcount]
        expected = [] if kind is kelbo.Reconstruction else list(arguments)
        assert re.findall(r"\w+", rows[name]) == expected
