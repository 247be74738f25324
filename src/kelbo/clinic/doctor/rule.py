"""The base class of the rules, and the record of what one finds."""

import ast
import enum
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from kelbo.clinic.doctor.program import Program
from kelbo.clinic.explain import EXPLANATIONS, Explanation
from kelbo.clinic.recipes.catalogue import CATALOGUE

HEADINGS = ("What it does", "Why is this bad", "Example", "Use instead")

_EXPLANATIONS = {explanation.name: explanation for explanation in EXPLANATIONS}


class Severity(enum.StrEnum):
    """How sure a rule is that the script does not do what it should."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Place:
    """A place in a file.

    Args:
        line: from 1.
        column: from 1, in characters.
        end_line: the last line.
        end_column: the column after the last character.
        cell: in a notebook, the number of the code cell, from 1; lines are then counted in it.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    cell: int | None = None


@dataclass(frozen=True)
class Finding:
    """What a rule says of one place in a script.

    Args:
        rule: the rule.
        node: the syntax at that place.
        happens: what the script does there, with its own names.
        repair: what to write instead, with its own names.
        place: the lines and columns, once they are known.
    """

    rule: "Rule"
    node: ast.AST
    happens: str
    repair: str
    place: Place | None = None

    @property
    def text(self) -> str:
        """The paragraph: what happens, on which Keras, why, and the repair."""
        where = (
            f"{keras}: {what}{'' if what.endswith('.') else '.'}"
            for keras, what in self.rule.generations
        )
        return " ".join(filter(None, (self.happens, *where, self.rule.why, self.repair)))


class Rule(ABC):
    """One thing that goes wrong in VAE scripts.

    A subclass has a file of its own, a docstring with the four headings, and these:

    Args:
        code: KLB and three digits.
        title: one line.
        severity: an error is certain, a warning may be intended.
        only_keras_3: whether Keras 2 does what the script means; if so, a script that asks for
            Keras 2 gets no finding.
        explanation: the entry of kelbo.clinic.explain with the same cause, if there is one; it
            supplies `generations`, `why` and `recipe` where the rule leaves them empty.
        generations: pairs of a generation of Keras and what it does.
        why: the cause.
        recipe: the recipe that shows the fault.
        docs: the page, and the place on it, that show the fault.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity]
    only_keras_3: ClassVar[bool] = False
    explanation: ClassVar[str] = ""
    generations: ClassVar[tuple[tuple[str, str], ...]] = ()
    why: ClassVar[str] = ""
    recipe: ClassVar[str] = ""
    docs: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        explained = _EXPLANATIONS.get(cls.explanation)
        if explained is not None:
            cls.generations = cls.generations or explained.generations
            cls.why = cls.why or explained.why
            cls.recipe = cls.recipe or explained.recipe or ""

    @abstractmethod
    def check(self, program: Program) -> Iterator[Finding]:
        """The findings in a script, in any order; `examine` keeps one for each place."""

    def finding(self, node: ast.AST, happens: str, repair: str) -> Finding:
        """A finding of this rule."""
        return Finding(self, node, happens, repair)

    @property
    def explained(self) -> Explanation | None:
        """The entry of kelbo.clinic.explain with the same cause, if there is one."""
        return _EXPLANATIONS.get(self.explanation)

    @property
    def see(self) -> list[str]:
        """Where to read more: commands, then a page."""
        commands = [f"kelbo doctor --explain {self.code}"]
        if self.recipe:
            repair = " --repair" if CATALOGUE[self.recipe].repair else ""
            commands.append(f"kelbo recipes show {self.recipe}{repair}")
        return [*commands, self.docs] if self.docs else commands

    @classmethod
    @cache
    def sections(cls) -> dict[str, str]:
        """The docstring, split into the text below each of the four headings."""
        text = inspect.cleandoc(cls.__doc__ or "")
        parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
        return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
