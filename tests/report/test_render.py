from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kelbo.report.render import ACCENT, save_png, style, to_svg


def draw(title="A title"):
    with style():
        figure = Figure(figsize=(3, 2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], "o-", color=ACCENT)
        axes.scatter([0], [1], rasterized=True)
        axes.set_title(title)
    return figure


def test_svg_is_one_described_element_that_scales():
    svg = ElementTree.fromstring(to_svg(draw(), "first", 'A "line" & <more>'))
    assert svg.tag == "svg"
    assert svg.attrib == {
        "role": "img",
        "aria-label": 'A "line" & <more>',
        "viewBox": "0 0 216 144",
    }


def test_svg_follows_the_page():
    svg = to_svg(draw(), "first", "")
    assert "var(--accent)" in svg
    assert ACCENT not in svg
    for foreign in ("http", "<style", "<metadata", "font-family", "<?xml", "<!DOCTYPE"):
        assert foreign not in svg


def test_svg_keeps_its_identifiers_to_itself():
    found = []
    for name in ("first", "second"):
        tree = ElementTree.fromstring(to_svg(draw(), name, ""))
        ids = [element.get("id") for element in tree.iter() if element.get("id")]
        assert ids and all(identifier.startswith(f"{name}-") for identifier in ids)
        for element in tree.iter():
            clip, link = element.get("clip-path"), element.get("href", "")
            assert clip is None or clip[len("url(#") : -1] in ids
            assert not link.startswith("#") or link[1:] in ids
        found += ids
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("title", ["cost in $", "$a_1$", "<script>alert(1)</script>", 'id="x"'])
def test_svg_shows_text_as_it_is(title):
    svg = to_svg(draw(title), "first", "")
    assert "<script" not in svg
    texts = [element.text for element in ElementTree.fromstring(svg).iter("text")]
    assert title in texts


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    assert to_svg(draw(), "first", "") == to_svg(draw(), "first", "")
    save_png(draw(), tmp_path / "one.png")
    save_png(draw(), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (600, 400)
        assert "Software" not in picture.info


def test_the_style_ends_with_its_block_and_ignores_the_users():
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9}):
        loud = to_svg(draw(), "first", "")
        assert matplotlib.rcParams["font.size"] == 30
    assert loud == to_svg(draw(), "first", "")
