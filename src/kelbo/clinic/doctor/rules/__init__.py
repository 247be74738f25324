"""The rules, one in each file; the name of the file is what the rule is about."""

import functools
import importlib
import pkgutil

from kelbo.clinic.doctor.rule import Rule


@functools.cache
def all_rules() -> tuple[Rule, ...]:
    """An object of every rule in this package, in the order of their codes."""
    found = []
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Rule) and "code" in vars(value):
                found.append(value())
    return tuple(sorted({rule.code: rule for rule in found}.values(), key=lambda rule: rule.code))
