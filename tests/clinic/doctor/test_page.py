from pathlib import Path

from kelbo.clinic.doctor.page import page

ROOT = Path(__file__).parents[3]


def test_the_page_is_made_of_the_rules_of_today():
    """`make docs` makes it anew."""
    assert (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8") == page()
