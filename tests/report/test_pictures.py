import base64
import io

import numpy as np
import pytest
from PIL import Image

from kelbo.errors import DataError
from kelbo.report import pictures
from kelbo.report.grid import image_grid, pair_grid


def decoded(picture):
    assert picture.source.startswith("data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2])))
    assert image.size == (picture.width, picture.height)
    return image


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_pairs(arrays, tmp_path):
    picture = pictures.pairs(arrays, tmp_path)
    assert picture.description == "6 test images, each above its reconstruction."
    expected = pair_grid(arrays["originals"], arrays["reconstructions"], columns=6)
    np.testing.assert_array_equal(pixels(tmp_path / "reconstructions.png"), expected)
    inside = np.asarray(decoded(picture))
    shown = inside[..., 3] == 255
    np.testing.assert_array_equal(inside[shown][:, :3], np.asarray(expected)[shown])


def test_samples(arrays, tmp_path):
    picture = pictures.samples(arrays, tmp_path)
    # Nine images are no full rows of at most eight.
    assert "8 images decoded from draws of the prior" in picture.description
    assert picture.columns == 4
    expected = image_grid(arrays["samples"][:8], columns=4)
    np.testing.assert_array_equal(pixels(tmp_path / "samples.png"), expected)
    assert decoded(picture).mode == "RGBA"


def test_traversals_stand_with_the_most_informative_first(arrays, tmp_path):
    rows = pictures.traversals(arrays, [2.5, 0.004, 3.25, 1.0], tmp_path)
    assert [(row.dimension, row.kl) for row in rows] == [(2, "3.25"), (0, "2.50"), (3, "1.00")]
    assert rows[0].picture.description == (
        "5 images decoded while latent dimension 2 goes from -2.5 to 2.5."
    )
    traversals = arrays["traversals"]
    first = np.asarray(decoded(rows[0].picture))[:, :64, :3]
    np.testing.assert_array_equal(first, np.asarray(image_grid(traversals[1], 5))[:, :64])
    ordered = traversals[[1, 0, 2]].reshape(15, 8, 8, 1)
    np.testing.assert_array_equal(pixels(tmp_path / "traversals.png"), image_grid(ordered, 5))


def test_traversals_keep_their_order_when_the_kl_is_not_known(arrays, tmp_path):
    rows = pictures.traversals(arrays, None, tmp_path)
    assert [(row.dimension, row.kl) for row in rows] == [(0, None), (2, None), (3, None)]


def test_no_active_dimension_is_no_traversal(arrays, tmp_path):
    arrays["traversals"] = arrays["traversals"][:0]
    arrays["traversal_dimensions"] = arrays["traversal_dimensions"][:0]
    assert pictures.traversals(arrays, [0.0] * 4, tmp_path) == []


def test_latent_plane(arrays, tmp_path):
    plane = pictures.latent_plane(arrays, tmp_path)
    assert (plane.images, plane.dimensions, plane.labelled) == (30, 4, True)
    assert "The latent means of 30 images, drawn over principal component 1" in plane.chart.wide
    assert "tulip" in plane.chart.wide and "tulip" in plane.chart.narrow
    assert (tmp_path / "latent.png").is_file()
    del arrays["latent_labels"]
    assert not pictures.latent_plane(arrays, tmp_path).labelled


def test_kl_per_dimension(evaluation, tmp_path):
    chart = pictures.kl_per_dimension(evaluation, tmp_path)
    assert (
        "KL divergence of 4 latent dimensions, from 3.25 down to 0.00 nats. 3 are act" in chart.wide
    )
    assert (tmp_path / "kl.png").is_file()


def test_losses_are_one_picture_and_a_chart_a_quantity(tmp_path):
    charts = pictures.losses({"epoch": [1, 2], "loss": [3.0, 2.0], "elbo": [-3.0, -2.0]}, tmp_path)
    assert [chart.wide for chart in charts] == [None, None]  # two in a row
    assert 'aria-label="ELBO, nats, over 2 epochs: training' in charts[0].narrow
    assert (tmp_path / "losses.png").is_file()


def test_what_is_absent_is_not_drawn(tmp_path):
    assert pictures.losses({}, tmp_path) == []
    assert pictures.pairs({"originals": np.zeros((1, 8, 8, 1))}, tmp_path) is None
    assert pictures.samples({}, tmp_path) is None
    assert pictures.traversals({}, None, tmp_path) == []
    assert pictures.latent_plane({}, tmp_path) is None
    assert pictures.kl_per_dimension({}, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(DataError):
        pictures.samples({"samples": np.zeros((2, 8, 8))}, tmp_path)
