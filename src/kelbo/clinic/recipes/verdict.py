"""Judges what a trial measured."""

import math
from typing import Any

WORKS = "works"
WRONGLY = "works, wrongly"
FAILS = "fails"
NOT_AVAILABLE = "not available"

VERDICTS = (WORKS, WRONGLY, FAILS, NOT_AVAILABLE)

# How tables show them.
MARKS = {WORKS: "✓", WRONGLY: "≠", FAILS: "✗", NOT_AVAILABLE: "·"}

# Largest relative difference of a loss or a gradient from the reference that counts as equal.
TOLERANCE = 1e-4

# Errors that are not the recipe's fault.
_OF_THE_MACHINE = ("MemoryError", "ResourceExhaustedError")

# How far a factor of the KL's part must be from 1 to be reported; less would not show.
_TOLD = 1e-3


def judge(result: dict[str, Any]) -> tuple[str, str]:
    """The verdict on a trial that ended, and the reason for it.

    Args:
        result: what `probe.py` wrote.

    Returns:
        One of `VERDICTS`, and one sentence; the sentence is empty for "works".
    """
    if "error" in result:
        error = result["error"]
        message = f"{error['type']}: {error['message']}".rstrip(": ")
        if result["stage"] == "environment" or error["type"] in _OF_THE_MACHINE:
            return NOT_AVAILABLE, message
        # Whatever a recipe raises passes through a line of it.
        if error.get("line") is None:
            return NOT_AVAILABLE, f"It could not be measured. {message}"
        return FAILS, message
    wrong = _wrong(result)
    return (WRONGLY, wrong) if wrong else (WORKS, "")


def _wrong(result: dict[str, Any]) -> str | None:
    """The first thing that is not as the recipe claims, or None."""
    parity, losses = result["parity"], result["losses"]
    share = parity.get("kl_share", 1.0)
    # Whether the KL's part explains the whole difference.
    explained = parity.get("kl_error", 0.0) <= TOLERANCE
    if not math.isfinite(parity["gradient_error"]):
        return f"The gradient of {parity['worst_weight']} is not finite."
    if explained and abs(share) <= TOLERANCE:
        return "The gradient of the KL does not reach mu and log_var."
    if explained and not math.isclose(share, 1.0, rel_tol=_TOLD):
        strong = "times too strong" if share > 1.0 else "times as strong as it should be"
        return f"The gradient of the KL reaches mu and log_var {share:.4g} {strong}."
    if parity["gradient_error"] > TOLERANCE:
        return (
            f"The gradient of {parity['worst_weight']} differs from the reference's by "
            f"{parity['gradient_error']:.2g} of its size."
        )
    loss, expected = parity["loss"], parity["reference_loss"]
    if loss is None or not losses:
        return "It reports no loss."
    if not abs(loss - expected) <= TOLERANCE * abs(expected):
        return f"It reports a loss of {loss:.6f} where the loss is {expected:.6f}."
    if not all(map(math.isfinite, losses)) or not losses[-1] < losses[0]:
        return f"The loss did not fall: {' -> '.join(f'{loss:.4f}' for loss in losses)}."
    return None
