"""The recipes, really tried in the environment of the tests: all backends of Keras 3, and tf-keras.

What becomes of them was measured before, in environments that kelbo made of the same releases.
"""

import re

import pytest

from kelbo.clinic.recipes import measured
from kelbo.clinic.recipes.cache import Cache
from kelbo.clinic.recipes.catalogue import CATALOGUE
from kelbo.clinic.recipes.environments import MODES, here
from kelbo.clinic.recipes.matrix import Lab, cells
from kelbo.clinic.recipes.parity import KINDS
from tests.sampling import drawn

# An environment of the tests, and the one of the table that has the same Keras.
TABLE = {
    "here-tensorflow": "keras-3.15-tensorflow",
    "here-jax": "keras-3.15-jax",
    "here-torch": "keras-3.15-torch",
    "here-tf-keras": "tf-2.21-tf-keras",
}
CELLS = cells(CATALOGUE.values(), here(), MODES)


@pytest.fixture(scope="module")
def found(request, tmp_path_factory):
    """The trials by their keys."""
    from kelbo.clinic.recipes.reference import parity_arrays

    # Half of the lab's images in the short training, for the sake of time.
    arrays = {kind: parity_arrays(kind) for kind in KINDS}
    arrays = {
        kind: {**part, "train_images": part["train_images"][:128]} for kind, part in arrays.items()
    }
    lab = Lab(Cache(tmp_path_factory.mktemp("lab")), arrays, jobs=2)
    wanted = drawn(request, "test_what_becomes_of_a_recipe_here_is_what_was_measured", "cell")
    return {trial.key: trial for trial in lab.run([cell for (cell,) in wanted])}


def essence(trial):
    """Verdict, exception, where it was raised, and the words of the message without its numbers."""
    words = re.sub(r"[-\d.]+(e-\d+)?", "#", trial.reason)
    return trial.verdict, trial.error.get("type"), trial.error.get("line"), words[:60]


@pytest.mark.sample(2, each=lambda cell: cell.key[2:])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: " ".join(cell.key))
def test_what_becomes_of_a_recipe_here_is_what_was_measured(cell, found):
    recipe, script, environment, mode = cell.key
    known = measured.matrix()[recipe, script, TABLE[environment], mode]
    assert known is not None, "not measured"
    trial = found[cell.key]
    assert essence(trial) == essence(known)
    if trial.verdict == "works":
        # As the verdict claims, once more from the figures: right to the fourth digit.
        figures = trial.measured
        assert figures["gradient_error"] < 1e-4
        assert figures["loss"] == pytest.approx(figures["reference_loss"], rel=1e-4)
        assert figures["losses"][-1] < figures["losses"][0]
        if recipe != "0-autoencoder":
            assert figures["kl_share"] == pytest.approx(1.0, abs=1e-3)


def test_every_environment_of_the_tests_is_tried_and_much_works_there():
    assert {cell.environment.name for cell in CELLS} == set(TABLE)
    keys = [
        (recipe, script, TABLE[where], mode)
        for recipe, script, where, mode in (cell.key for cell in CELLS)
    ]
    known = measured.matrix()
    assert sum(known[key].verdict == "works" for key in keys) > 40
