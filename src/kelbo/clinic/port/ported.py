"""Ports a script."""

import re
from dataclasses import dataclass, field

import libcst as cst

from kelbo.clinic.doctor import Finding, Severity, Skipped, Source, examine
from kelbo.clinic.doctor.objective import kl_terms
from kelbo.clinic.doctor.rules.tensorflow_1_names import is_of_version_1, lacking
from kelbo.clinic.doctor.source import read_script
from kelbo.clinic.port.added_loss import port_added_losses
from kelbo.clinic.port.findings import kept_findings
from kelbo.clinic.port.formula import Formula
from kelbo.clinic.port.layer_losses import added_by_layers, formula_beside, port_layer_losses
from kelbo.clinic.port.loss_closure import port_closures
from kelbo.clinic.port.loss_layer import port_loss_layers
from kelbo.clinic.port.optimizers import respell_optimizers
from kelbo.clinic.port.options import respell_options
from kelbo.clinic.port.sampling import leave_noise, port_sampling
from kelbo.clinic.port.script import Left, Script
from kelbo.clinic.port.spelling import port_imports, respell
from kelbo.clinic.port.tapes import leave_probability, leave_tapes
from kelbo.clinic.port.train_step.rewrite import port_train_steps
from kelbo.clinic.port.training import respell_training
from kelbo.clinic.port.weights import rename_weights
from kelbo.clinic.port.wrapping import wrapped
from kelbo.errors import DataError

# The encoding in one of the first two lines (PEP 263); the ported script is written in UTF-8.
_CODING = re.compile(r"\A(?P<before>(?:#.*\r?\n)?[ \t\f]*#.*?coding[:=][ \t]*)[-\w.]+")


@dataclass(frozen=True)
class Rewritten:
    """A cell of a notebook that the port changed.

    Args:
        cell: its number among the code cells, from 1.
        lines: the lines that there were others for, or before, as they were numbered.
    """

    cell: int
    lines: tuple[int, ...]


@dataclass(frozen=True)
class Ported:
    """A ported script or notebook.

    Args:
        text: its code; of a notebook, the content of its file.
        changed: whether there was anything to port.
        left: what was left as it was.
        formula: the loss as read from the original; None if it is not read.
        kept: what the doctor finds in the original and the port does not cure, at its place there.
        errors: the errors of other kinds that the doctor finds in the ported script, if nothing was
            left.
        vae: whether the script has a known KL term, or a compute_loss of its own.
        runnable: of a notebook, its code as a script.
        cells: of a notebook, the cells that changed.
        rewritten: whether a loss moved into a compute_loss.
    """

    text: str
    changed: bool
    left: tuple[Left, ...] = field(default=())
    formula: Formula | None = None
    kept: tuple[Finding, ...] = field(default=())
    errors: tuple[Finding, ...] = field(default=())
    vae: bool = False
    runnable: str = ""
    cells: tuple[Rewritten, ...] = field(default=())
    rewritten: bool = False


def port(source: Source) -> Ported:
    """Port a script without running it.

    Args:
        source: the script.

    Raises:
        DataError: the ported script is not valid Python.
    """
    script = Script(source)
    if (guarded := script.guarded) is not None:
        reason = "the script checks which Keras it runs on, and is left as it was."
        whole = (Left(guarded, reason),)
        found_there = tuple(kept_findings(source, source, whole))
        return Ported(source.text, False, whole, kept=found_there, vae=_has_vae(script))
    if is_of_version_1(script.program):
        line = min(node.lineno for node in lacking(script.program))  # type: ignore[attr-defined]
        reason = "this is a script of TensorFlow 1 without a model of Keras; write it anew."
        whole = (Left(line, reason),)
        return Ported(source.text, False, whole, kept=tuple(kept_findings(source, source, whole)))
    respell(script)
    respell_options(script)
    respell_optimizers(script)
    respell_training(script)
    rename_weights(script)
    ported_steps, reasons = port_train_steps(script)
    leave_tapes(script, ported_steps, reasons)
    leave_probability(script)
    port_sampling(script)
    port_layer_losses(script)
    port_added_losses(script)
    port_loss_layers(script)
    port_closures(script)
    leave_noise(script)
    try:
        text = wrapped(source.text, port_imports(source.text, script.edits.apply()))
    except (SyntaxError, cst.ParserSyntaxError) as error:
        raise _broken(source, str(error)) from error
    text = _CODING.sub(r"\g<before>utf-8", text) if text != source.text else text
    if not script.formulas and added_by_layers(script):
        formula = formula_beside(script)
    else:
        formula = script.formulas[0] if len(script.formulas) == 1 else None
    left = tuple(sorted(script.left, key=lambda one: one.line))
    found = read_script(source.path, text.encode())
    if isinstance(found, Skipped):
        raise _broken(source, found.reason)
    kept = kept_findings(source, found, left)
    known = {finding.rule.code for finding in kept}
    errors = [
        finding
        for finding in examine(found)
        if finding.rule.severity is Severity.ERROR and finding.rule.code not in known and not left
    ]
    vae = _has_vae(script) or bool(ported_steps)
    return Ported(
        text,
        text != source.text,
        left,
        formula,
        tuple(kept),
        tuple(errors),
        vae,
        rewritten=bool(script.formulas) or bool(ported_steps),
    )


def _has_vae(script: Script) -> bool:
    program = script.program
    return bool(kl_terms(program)) or any("compute_loss" in one.body for one in program.classes)


def _broken(source: Source, reason: str) -> DataError:
    return DataError(
        f"{source.path} cannot be ported: the ported script cannot be parsed ({reason}). This is a "
        "fault of kelbo, please report it with the script. To see what to change by hand: "
        f"kelbo doctor {source.path}"
    )
