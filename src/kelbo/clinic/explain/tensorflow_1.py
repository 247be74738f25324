"""The names of TensorFlow 1 that TensorFlow 2 lacks, as `make tables` measured them."""

import functools
import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Gone:
    """A name that TensorFlow 2 lacks.

    Args:
        name: the name in the table, without "tensorflow."; perhaps a module.
        instead: what TensorFlow 2 has in its place, without "tensorflow."; None if nothing.
        same: whether what it has in its place is called in the same way.
    """

    name: str
    instead: str | None
    same: bool = False

    @property
    def is_in_version_1(self) -> bool:
        """Whether only tf.compat.v1 still has it, under its old name."""
        return self.instead == f"compat.v1.{self.name}"


def gone(name: str) -> Gone | None:
    """What became of a name that TensorFlow 2 lacks; None if it has it, or it is unknown.

    Args:
        name: without "tensorflow.", such as `random_normal`. The longest module of it counts that
            is in the table.
    """
    table = _table()
    while name and name not in table:
        name = name.rpartition(".")[0]
    return table.get(name)


@functools.cache
def _table() -> dict[str, Gone]:
    stored = json.loads((files("kelbo.clinic.explain") / "tensorflow_1.json").read_text())
    found = [Gone(name, new, same=True) for name, new in stored["renamed"].items()]
    found += [Gone(name, new) for name, new in stored["changed"].items()]
    found += [Gone(name, f"compat.v1.{name}") for name in stored["only_in_version_1"]]
    found += [Gone(name, None) for name in stored["gone"]]
    return {one.name: one for one in found}


def gone_names() -> list[str]:
    """The names of the table without their modules, the longest first."""
    return sorted(
        {name.rpartition(".")[2] for name in _table()}, key=lambda name: (-len(name), name)
    )
