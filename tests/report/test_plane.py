from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from kelbo.errors import DataError
from kelbo.report.charts import NARROW, WIDE
from kelbo.report.plane import latent_plane
from kelbo.report.render import to_svg

EVERY_WIDTH = pytest.mark.parametrize("width", [WIDE, NARROW])


def means(count, dimensions):
    return np.random.default_rng(0).normal(size=(count, dimensions))


def names_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_labels_have_names_colours_and_places():
    points = means(30, 2) * [1.0, 4.0]
    labels = np.arange(30) % 3
    points += 20.0 * labels[:, None]
    figure = latent_plane(points, labels, ["rose", "tulip", "daisy"])
    axes = figure.axes[0]
    drawn = {tuple(cloud.get_facecolor()[0]): cloud.get_offsets() for cloud in axes.collections}
    assert len(drawn) == 3
    np.testing.assert_array_equal(
        np.sort(np.concatenate(list(drawn.values())), axis=0), np.sort(points, axis=0)
    )
    middles = {text.get_text(): text.get_position() for text in axes.texts}
    for index, name in enumerate(("rose", "tulip", "daisy")):
        np.testing.assert_allclose(middles[name], np.median(points[index::3], axis=0))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z₀", "z₁")


def test_a_name_has_the_colour_of_its_points():
    figure = latent_plane(means(20, 2), np.arange(20) % 2, ["orange", "green"])
    axes = figure.axes[0]
    clouds = [to_hex(cloud.get_facecolor()[0]) for cloud in reversed(axes.collections)]
    assert [to_hex(text.get_bbox_patch().get_edgecolor()) for text in axes.texts] == clouds
    assert clouds == ["#e58a1f", "#1f9e77"]


@EVERY_WIDTH
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_every_class_is_named_and_no_name_hides_another(width, spread):
    names = [f"class number {index}" for index in range(20)]
    figure = latent_plane(spread * means(200, 3), np.arange(200) % 20, names, width)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert [text.get_text()[2:] for text in axes.texts] == names
    boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max)
    # A line leads from each name that had to move.
    ends = [tuple(line.get_xydata()[1]) for line in axes.get_lines()]
    assert set(ends) <= {text.get_position() for text in axes.texts}
    assert len(ends) >= (19 if spread == 0.0 else 1)


def test_without_labels_there_is_one_colour_and_no_name():
    figure = latent_plane(means(20, 3), None, None)
    assert len(figure.axes[0].collections) == 1
    assert names_of(figure) == []


def test_names_that_are_missing_or_long():
    figure = latent_plane(means(4, 2), np.array([0, 1, 5, 5]), ["a" * 40, "_private $x$"])
    assert names_of(figure) == ["a" * 17 + "…", "_private $x$", "5"]
    to_svg(figure, "odd", "")


def test_twenty_labels_are_told_apart_by_colour_and_marker():
    figure = latent_plane(means(200, 3), np.arange(200) % 20, None)
    looks = {
        (text.get_text()[0], to_hex(text.get_bbox_patch().get_edgecolor()))
        for text in figure.axes[0].texts
    }
    assert len(looks) == 20


def test_of_more_labels_the_most_frequent_are_named():
    labels = np.concatenate([np.arange(36), np.arange(10, 29)])
    figure = latent_plane(means(55, 3), labels, None)
    assert {name[2:] for name in names_of(figure)[:20]} == {"0", *map(str, range(10, 29))}
    assert names_of(figure)[20] == "grey: 16 others"
    assert len(figure.axes[0].collections[0].get_offsets()) == 16  # the others, drawn first


def test_one_dimension_is_a_histogram():
    figure = latent_plane(means(50, 1), np.arange(50) % 2, None)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z₀", "images")
    assert sum(bar.get_height() for bars in axes.containers for bar in bars) == 50
    assert [entry.get_text() for entry in axes.get_legend().get_texts()] == ["0", "1"]


def test_points_are_rasterised():
    svg = to_svg(latent_plane(means(5000, 3), None, None), "latent", "")
    assert "data:image/png;base64," in svg
    assert len(svg) < 200_000


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="one label for each of 5 latent means"):
        latent_plane(means(5, 2), np.arange(4), None)
