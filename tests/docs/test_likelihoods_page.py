"""The examples of docs/likelihoods.md run, and its table has every likelihood."""

import re
from pathlib import Path

import numpy as np

import kelbo
from kelbo import likelihoods

PAGE = (Path(__file__).parents[2] / "docs" / "likelihoods.md").read_text("utf-8")


def test_its_examples_do_what_they_say():
    names = {"__name__": "likelihoods"}
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S))
    exec(compile(code, "likelihoods.md", "exec"), names)
    assert names["expected"].shape == (3, 6) and (names["expected"] > 0.0).all()
    assert set(np.unique(names["most_probable"])) <= {0.0, 1.0, 2.0, 3.0}


def test_its_table_has_every_likelihood():
    kinds = {
        name
        for name in likelihoods.__all__
        if issubclass(getattr(likelihoods, name), kelbo.Likelihood) and name != "Likelihood"
    }
    table = "\n".join(re.findall(r"^\| .* \|$", PAGE, re.M))
    assert set(re.findall(r"`(\w+Likelihood)`", table)) == kinds
