"""Writes docs/doctor.md from the rules: `python -m kelbo.clinic.doctor.page docs/doctor.md`."""

import sys
from pathlib import Path

from kelbo.clinic.doctor.rule import Rule
from kelbo.clinic.doctor.rules import all_rules
from kelbo.files import write_text

_FAMILIES = {
    "1": "How the KL term is attached",
    "2": "The arithmetic of the loss",
    "3": "Sampling and the network",
    "4": "Removed names, saving",
    "5": "Steps, calls and predict",
}
_HEAD = """\
# The doctor

    kelbo doctor train.py notebooks/

`kelbo doctor` reads VAE scripts and notebooks and says what is wrong with them, in which Keras,
why, and what to write instead. It does not run them and loads no backend. Instead it follows a
script through its functions and classes: which names hold symbolic tensors of a functional model,
which functions run in the training step, how the terms of the loss are reduced.

A finding is an **error** when the script is certain to go wrong, with the Keras 3 of today or with
any Keras, and a **warning** when it may be intended. `kelbo doctor` exits with 1 if it finds an
error, or if it can read none of the files.

    kelbo doctor --explain KLB101           # a rule at the terminal
    kelbo doctor --select KLB1,KLB204 .     # some rules; --ignore for all but some
    kelbo doctor --format github .          # annotations of a workflow; sarif, json
    kelbo doctor - < train.py               # from stdin, a notebook too
    python train.py 2>&1 | kelbo doctor -   # a traceback: what kelbo explain says of it

A traceback, or a log that ends in one, is recognised on stdin and in text files, and explained as
`kelbo explain` does. It counts as an error, so the exit code is 1.

A comment `# noqa: KLB101` turns a rule off on its line, `# noqa` turns off all of them. Hidden
folders and virtual environments are left out. What cannot be read (Python 2, a binary, a file of
more than 2 MiB, a wrong encoding) is named and skipped. A script that sets `TF_USE_LEGACY_KERAS`,
or imports `tf_keras`, asks for Keras 2, so the doctor does not report what only Keras 3 refuses.
The variable is TensorFlow's; `import keras` does not look at it. If a file mentions neither Keras
nor TensorFlow, such as a script of PyTorch alone, the doctor says that it examined nothing there;
that is no error.

At the terminal, what each Keras does and why is printed once for each rule and file. The other
formats repeat it at every finding.

The doctor reports only what it is sure of. It leaves alone what it cannot follow, such as a layer
that another file defines, so a script without findings may still be wrong.
"""
_FOOT = """\

This page is generated from the rules' docstrings by `make docs`.
"""


def page() -> str:
    """The page as Markdown."""
    lines = [_HEAD, "| code | severity | what is wrong |", "|---|---|---|"]
    for rule in all_rules():
        anchor = f"{rule.code} {rule.title}".lower()
        anchor = "".join(c for c in anchor.replace(" ", "-") if c.isalnum() or c in "-_")
        lines.append(f"| [{rule.code}](#{anchor}) | {rule.severity} | {rule.title} |")
    family = ""
    for rule in all_rules():
        if rule.code[3] != family:
            family = rule.code[3]
            lines += ["", f"## {_FAMILIES[family]}"]
        lines += ["", *_rule(rule)]
    return "\n".join(lines) + "\n" + _FOOT


def _rule(rule: Rule) -> list[str]:
    lines = [f"### {rule.code} {rule.title}", "", f"*{str(rule.severity).capitalize()}.*"]
    for head, text in rule.sections().items():
        lines += ["", f"**{head}**", "", text]
    if rule.generations:
        lines += ["", "| Keras | what happens |", "|---|---|"]
        lines += [f"| {keras} | {what} |" for keras, what in rule.generations]
    if more := rule.see[1:]:
        lines += ["", "See " + ", ".join(f"`{place}`" for place in more) + "."]
    return lines


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), page())
