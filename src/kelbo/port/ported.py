"""From a script to the ported one."""

from dataclasses import dataclass, field

from kelbo.doctor import Severity, Source, examine
from kelbo.doctor.source import read_script
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
    """

    text: str
    changed: bool
    left: tuple[Left, ...] = field(default=())


def port(source: Source) -> Ported:
    """Port a script; nothing of it is run.

    Args:
        source: the script.
    """
    script = Script(source)
    respell(script)
    port_sampling(script)
    port_vaes(script)
    text = port_imports(script.edits.apply())
    return Ported(text, text != source.text, tuple(script.left))
