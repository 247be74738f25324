"""A named model with every choice made: the parts and the value of each option.

Imports no framework.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from kelbo.errors import UsageError, unknown_name
from kelbo.presets.families import FAMILIES
from kelbo.presets.models import PRESETS
from kelbo.presets.option import Option
from kelbo.presets.part import Part
from kelbo.presets.preset import Preset

# How many models a refusal names at most.
_NAMED = 3


@dataclass(frozen=True)
class Design:
    """The choices behind one model.

    Attributes:
        preset: the named model.
        parts: by family.
        chosen: values of options that are not the part's own default, by family and name.
    """

    preset: Preset
    parts: Mapping[str, Part]
    chosen: Mapping[tuple[str, str], Any]

    @classmethod
    def of(
        cls,
        model: str,
        parts: Mapping[str, str | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """The design of a model.

        Args:
            model: its name.
            parts: names by family; the model's own where None.
            options: by `NAME` or `FAMILY.NAME`, unchecked.

        Raises:
            UsageError: an unknown name, a part that would make it another model, an option that
                no part has or that is set twice, or a value that is none.
        """
        chosen_preset = preset(model)
        names = {**{family: names[0] for family, names in _DEFAULTS.items()}, **chosen_preset.parts}
        for family, name in (parts or {}).items():
            if name is not None:
                _check_part(chosen_preset, family, name, names[family])
                names[family] = name
        design = cls(chosen_preset, {f: FAMILIES[f][name] for f, name in names.items()}, {})
        own = {
            key: value
            for name, value in chosen_preset.defaults.items()
            if (key := design.find(name)) is not None
        }
        return cls(chosen_preset, design.parts, {**own, **design.checked(options or {})})

    def options(self) -> Iterator[tuple[str, Option, Any]]:
        """Every option with the family of its part and its value."""
        for family, part in self.parts.items():
            for one in part.options:
                yield family, one, self.chosen.get((family, one.name), one.default)

    def spelled(self, family: str, name: str) -> str:
        """An option as its user writes it: alone where one part alone has it, else FAMILY.NAME."""
        owners = [owner for owner, one, _ in self.options() if one.name == name]
        return name if len(owners) == 1 else f"{family}.{name}"

    def values(self, family: str) -> dict[str, Any]:
        """The options of one part by name."""
        return {one.name: value for owner, one, value in self.options() if owner == family}

    def find(self, spelled: str) -> tuple[str, str] | None:
        """Family and name of an option; None where no part has it.

        Raises:
            UsageError: several parts have an option of that name.
        """
        family, _, name = spelled.rpartition(".")
        found = [
            (owner, one.name)
            for owner, one, _ in self.options()
            if one.name == name and family in ("", owner)
        ]
        if len(found) > 1:
            both = " or ".join(f"{owner}.{one}" for owner, one in found)
            raise UsageError(f"Several parts of this model have the option {name}: say {both}.")
        return found[0] if found else None

    def option(self, spelled: str) -> Option:
        """The option that a user names.

        Raises:
            UsageError: no part of the model has it; the message has the reason, and the models
                that have one.
        """
        key = self.find(spelled)
        if key is None:
            raise self._no_option(spelled)
        family, name = key
        return next(one for one in self.parts[family].options if one.name == name)

    def checked(self, options: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
        """Options by family and name, each as its kind.

        Raises:
            UsageError: no part has one, it is set twice, or a value is none for it.
        """
        checked: dict[tuple[str, str], Any] = {}
        for spelled, value in options.items():
            option, key = self.option(spelled), self.find(spelled)
            if key is None or key in checked:
                raise UsageError(f"The option {option.name} is set twice. Leave one of them out.")
            family, name = key
            is_number = isinstance(value, str | int | float)
            free = self.parts[family].scheduled == name and not is_number
            checked[key] = value if free else option.check(value)
        return checked

    def _no_option(self, spelled: str) -> UsageError:
        name = spelled.rpartition(".")[2]
        model = self.preset.name
        others = [known for known in PRESETS if name in _option_names(known)]
        if not others:
            known = [self.spelled(family, one.name) for family, one, _ in self.options()]
            return unknown_name(f"option of the model {model!r}", spelled, known or _all_options())
        reasons = [part.refuses[name] for part in self.parts.values() if name in part.refuses]
        why = f": {reasons[0]}" if reasons else ""
        use = " or ".join(f"--model {other}" for other in others[:_NAMED])
        return UsageError(f"The model {model!r} takes no {name}{why}. Leave it out, or use {use}.")


# The parts of the VAE, which every model has unless it says otherwise, come first in each family.
_DEFAULTS = {family: list(parts) for family, parts in FAMILIES.items()}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise unknown_name("model", name, PRESETS)
    return PRESETS[name]


def _check_part(model: Preset, family: str, name: str, own: str) -> None:
    """Refuse an unknown part, and one that would make the model another."""
    if name not in FAMILIES[family]:
        raise unknown_name(family, name, FAMILIES[family])
    if family == model.changes and name != own:
        raise UsageError(
            f"What makes a model {model.name!r} is its {family} {own!r}; with the {family} "
            f"{name!r} it is another. Leave --{family} out, or use --model vae."
        )


def _option_names(model: str) -> set[str]:
    return {one.name for _, one, _ in Design.of(model).options()}


def _all_options() -> set[str]:
    return {name for model in PRESETS for name in _option_names(model)}
