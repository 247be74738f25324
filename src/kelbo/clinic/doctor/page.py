"""docs/doctor.md, made of the rules: `python -m kelbo.clinic.doctor.page docs/doctor.md`."""

import sys
from pathlib import Path

from kelbo.clinic.doctor.rule import Rule
from kelbo.clinic.doctor.rules import all_rules
from kelbo.files import write_text

_FAMILIES = {
    "1": "How the KL term is attached",
    "2": "The arithmetic of the loss",
    "3": "Sampling and the network",
    "4": "Names that are gone, saving",
    "5": "Steps, calls and predict",
}
_HEAD = """\
# The doctor

    kelbo doctor train.py notebooks/

reads VAE scripts and notebooks and says what is wrong with them, on which Keras, why, and what to
write instead. It runs nothing of them and loads no backend. It follows a script through its
functions and classes instead: which names hold symbolic tensors of a functional model, which
functions run in the training step, how the terms of the loss are reduced.

A finding is an **error** when the script surely does not do what it should, on Keras 3 of today or
on any, and a **warning** when it may be meant as it is. With an error `kelbo doctor` exits with 1,
as it does where it could read nothing.

    kelbo doctor --explain KLB101           # a rule at the terminal
    kelbo doctor --select KLB1,KLB204 .     # some rules; --ignore for all but some
    kelbo doctor --format github .          # annotations of a workflow; sarif, json
    kelbo doctor - < train.py               # from stdin, a notebook too
    python train.py 2>&1 | kelbo doctor -   # a traceback: what kelbo explain says of it

A traceback or a log that ends in one, from stdin or in a text file that is named, is told from a
script and explained as `kelbo explain` does; it is an error, so the exit code is 1.

A comment `# noqa: KLB101` turns a rule off on its line, `# noqa` all of them. In folders, hidden
ones and virtual environments are left out. What cannot be read (Python 2, a binary, a file of more
than 2 MiB, a wrong encoding) is named and skipped. A script that sets `TF_USE_LEGACY_KERAS`, or
imports `tf_keras`, asks for Keras 2: what only Keras 3 refuses is then no finding. The variable is
TensorFlow's, and `import keras` does not look at it. Of files that mention neither Keras nor
TensorFlow, as scripts of PyTorch alone, it is said that nothing in them was examined; that is no
error.

At the terminal, what each Keras does and why is told once for each rule and file. The other formats
have it at every finding.

The doctor says only what it is sure of. What it cannot follow, as a layer that another file
defines, it leaves alone, so no finding does not mean that all is well.
"""
_FOOT = """\

This page is made of the rules' own docstrings, by `make docs`.
"""


def page() -> str:
    """The page, Markdown."""
    lines = [_HEAD, "| code | | what |", "|---|---|---|"]
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
