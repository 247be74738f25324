"""The recipes: what each is called, what it needs, and where its scripts are.

A recipe is a folder of `catalogue/` with `recipe.py` (the recipe in the style of its time),
`README.md` (who taught it, why it works or fails, the rule) and, if it fails somewhere,
`repair.py` (the smallest repair that keeps its shape). The scripts import nothing of kelbo.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kelbo.clinic.recipes.environments import Environment
from kelbo.errors import UsageError, unknown_name

_FOLDER = Path(__file__).parent / "catalogue"


@dataclasses.dataclass(frozen=True)
class Script:
    """One script of a recipe.

    Args:
        recipe: the recipe's name.
        kind: "recipe" or "repair".
        needs: "tensorflow", "keras 3", or "" if any Keras will do.
    """

    recipe: str
    kind: str
    needs: str = ""

    @property
    def path(self) -> Path:
        """The script's file."""
        return _FOLDER / self.recipe / f"{self.kind}.py"

    @property
    def name(self) -> str:
        """Its name in progress and tables."""
        return self.recipe if self.kind == "recipe" else f"{self.recipe}, repaired"

    @property
    def reference(self) -> str:
        """The kind of model it is compared with: "ae" or "article"."""
        return "ae" if self.recipe == "0-autoencoder" else "article"

    def lacks(self, environment: Environment) -> str | None:
        """What the script needs and an environment does not have, in words, or None."""
        if self.needs == "tensorflow" and environment.backend != "tensorflow":
            return "the script is written in TensorFlow, and Keras runs on another backend"
        if self.needs == "keras 3" and environment.keras < 3:
            return "the script needs Keras 3"
        return None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way of attaching the KL loss.

    Args:
        name: the name of its folder: a number and a name.
        title: a few words.
        taught_by: who taught it, and when.
        kl: how the KL term gets into the loss.
        scripts: the recipe, then its repair if there is one.
    """

    name: str
    title: str
    taught_by: str
    kl: str
    scripts: tuple[Script, ...]

    @property
    def number(self) -> str:
        """The part of its name before the first dash."""
        return self.name.partition("-")[0]

    @property
    def readme(self) -> str:
        """Its README, in Markdown."""
        return (_FOLDER / self.name / "README.md").read_text(encoding="utf-8")

    @property
    def repair(self) -> Script | None:
        """The repaired script, if the recipe needs one."""
        return self.scripts[1] if len(self.scripts) > 1 else None


def _recipe(
    name: str, title: str, taught_by: str, kl: str, needs: str = "", repair: str | None = None
) -> Recipe:
    scripts = [Script(name, "recipe", needs)]
    if repair is not None:
        scripts.append(Script(name, "repair", repair))
    return Recipe(name, title, taught_by, kl, tuple(scripts))


_RECIPES = (
    _recipe(
        "0-autoencoder",
        "The baseline without a KL",
        "the article, 2022",
        "There is none: one Dense layer makes z.",
    ),
    _recipe(
        "1-loss-closure",
        "A loss that closes over tensors",
        "Foster, 2019",
        "compile(loss=f), and f reads the encoder's mu and log_var from outside.",
        needs="tensorflow",
        repair="",
    ),
    _recipe(
        "2-loss-layer",
        "A last layer that computes the loss",
        "Chollet, 2017",
        "The layer's call reads the outer mu and log_var and calls add_loss.",
        needs="tensorflow",
        repair="",
    ),
    _recipe(
        "3-add-loss-kl",
        "model.add_loss of the KL",
        "Géron, 2019",
        "The KL of the layers' tensors goes to model.add_loss, the rest to compile.",
        needs="tensorflow",
        repair="",
    ),
    _recipe(
        "4-add-loss-total",
        "model.add_loss of the total",
        "Atienza, 2020",
        "The whole loss of the layers' tensors goes to model.add_loss.",
        needs="tensorflow",
        repair="",
    ),
    _recipe(
        "5-train-step",
        "A train_step of one's own",
        "Chollet, 2020 on",
        "train_step computes it under a GradientTape.",
        needs="tensorflow",
        repair="tensorflow",
    ),
    _recipe(
        "6-encoder-layer",
        "A layer inside the encoder",
        "the article's series, 2022",
        "A layer gets [mu, log_var] as its inputs and calls self.add_loss.",
    ),
    _recipe(
        "7-tensor-transfer",
        "mu and log_var as outputs of the model",
        "the article's series, 2022",
        "An ordinary loss for each output, in compile.",
    ),
    _recipe(
        "8-compute-loss",
        "compute_loss of Keras 3",
        "Keras 3, 2023 on",
        "A subclass overrides compute_loss, with keras.ops alone.",
        needs="keras 3",
    ),
)

CATALOGUE = {recipe.name: recipe for recipe in _RECIPES}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name, a number, or a name without its number.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    for recipe in _RECIPES:
        if name.lower() in (recipe.name, recipe.number, recipe.name.partition("-")[2]):
            return recipe
    raise unknown_name("recipe", name, CATALOGUE)


def find_recipes(names: Sequence[str]) -> list[Recipe]:
    """The recipes of these names in the catalogue's order; all of them if no name is given.

    Raises:
        UsageError: a name is unknown.
    """
    wanted = {find_recipe(name).name for name in names}
    return [recipe for recipe in _RECIPES if not wanted or recipe.name in wanted]


def find_script(name: str, repair: bool = False) -> Script:
    """The recipe's script, or its repaired one.

    Raises:
        UsageError: there is no such recipe, or it needs no repair.
    """
    recipe = find_recipe(name)
    if not repair:
        return recipe.scripts[0]
    if recipe.repair is None:
        raise UsageError(
            f"{recipe.name} has no repair: where it fails, the KL term is not the cause. "
            f"`kelbo recipes show {recipe.name}` shows the recipe."
        )
    return recipe.repair
