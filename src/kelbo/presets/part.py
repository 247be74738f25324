"""A named part of a model: one choice for a term of the equation. Imports no framework."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kelbo.presets.option import Option


@dataclass(frozen=True)
class Part:
    """A likelihood, prior, posterior, objective or pair of networks by name.

    Attributes:
        name: as in `--prior NAME`, in `[model]` and in Python.
        python: the public class in `kelbo`, or for networks what stands before `_encoder` and
            `_decoder` in `kelbo.networks`; empty of a prior that is none.
        maths: the part in one line.
        paper: where it comes from.
        options: what its user may choose.
        fixed: arguments of the class that the name stands for.
        given: arguments that follow from the data: "data_shape".
        scheduled: the option that a warm-up raises from 0, or empty.
        refuses: options of other parts that this one cannot have, each with the reason.
    """

    name: str
    python: str
    maths: str
    paper: str
    options: tuple[Option, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    scheduled: str = ""
    refuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def class_(self) -> Any:
        """The public class, which needs a backend."""
        return getattr(importlib.import_module("kelbo"), self.python)

    def arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What the class takes for values of the options by name."""
        own = {
            one.argument or one.name: options[one.name]
            for one in self.options
            if one.argument is not None
        }
        return {**self.fixed, **own}
