from tests.clinic.port.forms import BEGIN, with_table
from tests.processes import ROOT


def test_the_table_of_forms_is_of_the_port_of_today():
    """`make docs` makes it anew."""
    page = (ROOT / "docs" / "port.md").read_text(encoding="utf-8")
    assert BEGIN in page and page == with_table(page)
