"""From a script to the ported one."""

from dataclasses import dataclass, field

from kelbo.doctor import Source
from kelbo.port.formula import Formula
from kelbo.port.sampling import port_sampling
from kelbo.port.script import Left, Script
from kelbo.port.spelling import port_imports, respell
from kelbo.port.vae import port_vaes


@dataclass(frozen=True)
class Ported:
    """A ported script.

    Args:
        text: its code.
        changed: whether there was anything to port.
        left: what was left as it was.
        formula: the loss, as it is read from the original; None where it cannot be.
    """

    text: str
    changed: bool
    left: tuple[Left, ...] = field(default=())
    formula: Formula | None = None


def port(source: Source) -> Ported:
    """Port a script; nothing of it is run.

    Args:
        source: the script.
    """
    script = Script(source)
    if (guarded := script.guarded) is not None:
        reason = "the script looks at which Keras there is, and is left as it was."
        return Ported(source.text, False, (Left(guarded, reason),))
    respell(script)
    port_sampling(script)
    formulas = port_vaes(script)
    if not (script.edits.changed or script.left):
        return Ported(source.text, False)
    text = port_imports(script.edits.apply())
    formula = formulas[0] if len(formulas) == 1 else None
    left = tuple(sorted(script.left, key=lambda one: one.line))
    return Ported(text, text != source.text, left, formula)
