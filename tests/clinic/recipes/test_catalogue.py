from pathlib import Path

import pytest

import kelbo.clinic.recipes
from kelbo.clinic.recipes.catalogue import CATALOGUE, find_recipe, find_recipes, find_script
from kelbo.clinic.recipes.environments import ENVIRONMENTS
from kelbo.errors import UsageError

FOLDER = Path(kelbo.clinic.recipes.__file__).parent / "catalogue"
every = pytest.mark.parametrize("recipe", CATALOGUE.values(), ids=lambda recipe: recipe.name)


def test_the_catalogue_is_the_baseline_and_the_eight_recipes_in_order():
    assert [recipe.number for recipe in CATALOGUE.values()] == [str(n) for n in range(9)]
    assert all(name == recipe.name for name, recipe in CATALOGUE.items())


@every
def test_a_recipes_folder_has_its_scripts_its_readme_and_nothing_else(recipe):
    scripts = {"recipe.py", "repair.py"} if recipe.repair else {"recipe.py"}
    found = {path.name for path in (FOLDER / recipe.name).iterdir()} - {"__pycache__"}
    assert found == {"README.md", *scripts}
    assert {script.path.name for script in recipe.scripts} == scripts


def test_no_folder_is_without_its_recipe():
    assert {path.name for path in FOLDER.iterdir()} - {"__pycache__"} == set(CATALOGUE)


@every
def test_a_readme_begins_with_the_recipes_name_and_teaches_a_rule(recipe):
    first = recipe.readme.splitlines()[0]
    assert first.startswith("# ")
    assert recipe.number in first
    assert "rule" in recipe.readme.lower()


@every
def test_a_script_says_what_it_is(recipe):
    for script in recipe.scripts:
        first = script.path.read_text(encoding="utf-8").splitlines()[0]
        repaired = ", repaired" if script.kind == "repair" else ""
        assert first.startswith(f'"""Recipe {recipe.number}{repaired}: ')


def test_a_repair_needs_nothing_that_its_recipe_does_not_need():
    for recipe in CATALOGUE.values():
        if recipe.repair:
            assert recipe.repair.needs in ("", recipe.scripts[0].needs)


def test_a_scripts_name_tells_whether_it_is_repaired():
    recipe, repair = CATALOGUE["1-loss-closure"].scripts
    assert (recipe.name, repair.name) == ("1-loss-closure", "1-loss-closure, repaired")


def test_the_baseline_alone_is_compared_with_an_autoencoder():
    references = {name: recipe.scripts[0].reference for name, recipe in CATALOGUE.items()}
    assert {name for name, kind in references.items() if kind == "ae"} == {"0-autoencoder"}


@pytest.mark.parametrize(
    ("recipe", "environment", "lacks"),
    [
        ("1-loss-closure", "keras-3.15-jax", "TensorFlow"),
        ("1-loss-closure", "keras-3.15-tensorflow", None),
        ("6-encoder-layer", "keras-3.15-torch", None),
        ("8-compute-loss", "tf-2.8", "Keras 3"),
        ("8-compute-loss", "tf-2.21-tf-keras", "Keras 3"),
        ("8-compute-loss", "keras-3.0-jax", None),
    ],
)
def test_what_an_environment_lacks_is_said(recipe, environment, lacks):
    said = CATALOGUE[recipe].scripts[0].lacks(ENVIRONMENTS[environment])
    assert said is None if lacks is None else lacks in said


@pytest.mark.parametrize("name", ["3-add-loss-kl", "3", "add-loss-kl", "Add-Loss-KL"])
def test_a_recipe_is_found_by_name_number_or_short_name(name):
    assert find_recipe(name) is CATALOGUE["3-add-loss-kl"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("los-closure", "1-loss-closure"),
        ("add-loss", "3-add-loss-kl"),
        ("6-encoder-layers", "6-encoder-layer"),
    ],
)
def test_an_unknown_recipe_names_the_nearest(name, nearest):
    with pytest.raises(UsageError, match=f"no recipe {name!r}. Did you mean {nearest!r}"):
        find_recipe(name)


@pytest.mark.parametrize("name", ["", "9", "-", "vae"])
def test_a_name_like_none_names_them_all(name):
    with pytest.raises(UsageError, match="Known: 0-autoencoder, 1-loss-closure, "):
        find_recipe(name)


def test_recipes_come_in_the_catalogues_order_once_each():
    found = find_recipes(["8", "1", "loss-closure"])
    assert [recipe.name for recipe in found] == ["1-loss-closure", "8-compute-loss"]
    assert find_recipes([]) == list(CATALOGUE.values())


def test_a_script_is_the_recipe_or_its_repair():
    assert find_script("1").kind == "recipe"
    assert find_script("1", repair=True).kind == "repair"


def test_a_recipe_that_needs_no_repair_says_so():
    with pytest.raises(UsageError, match="^6-encoder-layer has no repair: where it fails"):
        find_script("6", repair=True)
