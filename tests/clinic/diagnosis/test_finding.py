"""A diagnosis in text: whole lines, or lines broken to a width."""

import pytest

from kelbo.clinic.diagnosis import Diagnosis, Finding

WORDS = "one two three four five six seven eight nine ten eleven twelve"
FINDING = Finding("a-name", "warning", f"Title {WORDS}", f"Meaning {WORDS}", f"Cure {WORDS}")
DIAGNOSIS = Diagnosis(
    "VAE 'vae' on 60 data of 4 x 4 x 1",
    (FINDING,),
    {"kl_per_dimension": [1.25] * 20, "active_units": 20, "effective_beta": 0.5},
    {"reconstruction": f"because {WORDS}"},
    {"left out": WORDS},
)


def test_figures_have_their_units():
    lines = {line.split()[0]: line for line, _ in DIAGNOSIS.lines() if line}
    assert lines["kl_per_dimension"].endswith("1.25, 1.25 nats")
    assert lines["active_units"].split() == ["active_units", "20"]
    assert lines["effective_beta"].split() == ["effective_beta", "0.5"]
    none = Diagnosis("VAE", (), {"kl_weight": -0.0})
    assert str(none).splitlines()[-1].split() == ["kl_weight", "0"]
    empty = Diagnosis("VAE", (), {"active_dimensions": []})
    assert str(empty).splitlines()[-1].split() == ["active_dimensions", "none"]


@pytest.mark.parametrize("width", [40, 80])
def test_broken_lines_say_the_same_and_hang(width):
    lines = [line for line, _ in DIAGNOSIS.lines(width)]
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()) == " ".join(str(DIAGNOSIS).split())
    heads = ("VAE", "1 warning", "warning a-name", "kl_per_", "active_u", "effective", "reconstr")
    for line in filter(None, lines):
        assert line.startswith((*heads, "  "))
    (first,) = [n for n, line in enumerate(lines) if line.startswith("kl_per_dimension")]
    assert lines[first + 1].index("1.25") == lines[first].index("1.25")


def test_only_the_head_of_a_finding_has_its_severity():
    text = " ".join(line for line, severity in DIAGNOSIS.lines(40) if severity == "warning")
    assert " ".join(text.split()) == f"warning a-name: Title {WORDS}"
