import re

import pytest

from kelbo.presets import FAMILIES, PRESETS
from kelbo.presets.families import PLURALS, TERMS
from tests.cli.program import kelbo, refused


def test_models_lists_each_model_with_its_paper_and_options():
    result = kelbo("models")
    assert (result.code, result.err) == (0, "")
    for name, preset in PRESETS.items():
        assert f"\n{name}\n" in f"\n{result.out}"
        assert preset.paper in result.out
    assert re.search(r"\nbeta-vae\n.*\n.*\n +options +beta=4, ", result.out)
    models = kelbo("models", "--json").json["models"]
    assert set(models) == set(PRESETS)
    assert models["iwae"]["options"]["importance_samples"]["default"] == 5
    assert models["beta-vae"]["options"]["beta"]["default"] == 4.0


@pytest.mark.parametrize("name", PRESETS)
def test_a_model_is_shown_with_its_equation_and_its_python(name):
    result = kelbo("models", "show", name)
    assert result.code == 0
    for family, part in kelbo("models", "show", name, "--json").json["parts"].items():
        assert TERMS[family] in result.out
        assert FAMILIES[family][part].maths in result.out
    assert "    import kelbo" in result.out


def test_parts_are_listed_by_family():
    for family, known in FAMILIES.items():
        result = kelbo("models", "parts", family)
        for name, part in known.items():
            assert f"--{family} {name}" in result.out
            assert part.maths in result.out
    listed = kelbo("models", "parts", "--json").json
    assert {PLURALS[family]: set(known) for family, known in FAMILIES.items()} == {
        plural: set(known) for plural, known in listed.items()
    }
    assert listed["objectives"]["reconstruction"]["refuses"]["beta"] == "an autoencoder has no KL"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "betavae"], "no model 'betavae'. Did you mean 'beta-vae'"),
        (["parts", "priors"], "no kind of part 'priors'. Did you mean 'prior'"),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest(arguments, message):
    assert message in refused("models", *arguments, code=2)
