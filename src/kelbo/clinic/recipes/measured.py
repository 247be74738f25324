"""The measurements that are committed, as package data: the matrix and the history."""

from importlib.resources import files

from kelbo.clinic.recipes.history import Change, from_json
from kelbo.clinic.recipes.matrix import Matrix

_RESULTS = files("kelbo.clinic.recipes") / "results"


def matrix() -> Matrix:
    """The matrix that kelbo comes with."""
    path = _RESULTS / "matrix.json"
    return Matrix.from_json(path.read_text(encoding="utf-8"), str(path))


def history() -> list[Change]:
    """The history that kelbo comes with."""
    path = _RESULTS / "history.json"
    return from_json(path.read_text(encoding="utf-8"), str(path))
