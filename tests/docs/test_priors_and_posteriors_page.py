"""The examples of docs/priors-and-posteriors.md run from top to bottom, and its tables are true."""

import re
from pathlib import Path

import kelbo
from kelbo import flows

PAGE = (Path(__file__).parents[2] / "docs" / "priors-and-posteriors.md").read_text("utf-8")


def test_the_examples_run():
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S))
    names = {"__name__": "priors_and_posteriors"}
    exec(compile(code, "priors-and-posteriors.md", "exec"), names)
    assert names["samples"].shape == (16, 8, 8, 1)
    assert names["codes"].shape == (5, 4)
    assert names["bound"].shape == (5,)
    assert names["sphere"].posterior.on_sphere


def test_every_part_is_on_the_page_and_every_name_on_it_is_there():
    parts = [name for name in kelbo.__all__ if name.lower().endswith(("prior", "posterior"))]
    left_out = {"Prior", "Posterior", "DeterministicPosterior"}
    made_by_flow = {"real_nvp_prior", "masked_autoregressive_prior"}  # FlowPrior(flows. ...)
    for name in set(parts) - left_out - made_by_flow:
        assert f"{name}" in PAGE, name
    for name in re.findall(r"`(\w+)\(", PAGE):
        assert hasattr(kelbo, name) or name in ("codes", "reconstruct", "posterior_mean"), name
    for name in re.findall(r"flows\.(\w+)", PAGE):
        assert hasattr(flows, name), name
