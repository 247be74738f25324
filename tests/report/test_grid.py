import numpy as np
import pytest
from PIL import Image

from kelbo.errors import DataError
from kelbo.report.grid import (
    CLEAR,
    GUTTER,
    PAIR_GAP,
    READABLE,
    full_rows,
    image_grid,
    pair_grid,
    save_grid,
    save_pairs,
)


def flat(*values, side=READABLE, channels=1):
    """Images of one value each, as large as a tile needs to be shown as it is."""
    levels = np.asarray(values, dtype=np.float32).reshape(len(values), 1, 1, -1)
    return np.broadcast_to(levels, (len(values), side, side, channels))


def test_tiles_stand_row_by_row_with_thin_gutters():
    pixels = np.asarray(image_grid(flat(0.0, 0.2, 0.4), columns=2))
    step = READABLE + GUTTER
    assert pixels.shape == (2 * step - GUTTER, 2 * step - GUTTER, 3)
    assert (pixels[:READABLE, :READABLE] == 0).all()
    assert (pixels[:READABLE, step:] == 51).all()
    assert (pixels[step:, :READABLE] == 102).all()
    assert (pixels[step:, step:] == 255).all()  # no fourth image
    assert (pixels[READABLE:step] == 255).all()
    assert (pixels[:, READABLE:step] == 255).all()


def test_fewer_images_than_columns_make_a_narrower_grid():
    assert image_grid(flat(0.0, 1.0), columns=8).size == (2 * READABLE + GUTTER, READABLE)


@pytest.mark.parametrize("side, scale", [(28, 3), (32, 2), (64, 1), (96, 1), (5, 13)])
def test_small_images_are_enlarged_by_a_whole_factor(side, scale):
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 1))
    pixels = np.asarray(image_grid(image / 255.0, columns=1))
    assert pixels.shape == (side * scale, side * scale, 3)
    expected = image[0, :, :, 0].repeat(scale, axis=0).repeat(scale, axis=1)
    np.testing.assert_array_equal(pixels[..., 0], expected)


def test_colours_are_kept():
    colours = np.array([[1.0, 0.0, 0.4]], dtype=np.float32)
    pixels = np.asarray(image_grid(flat(*colours, channels=3), columns=1))
    assert (pixels == [255, 0, 102]).all()


def test_values_outside_the_range_are_clipped():
    pixels = np.asarray(image_grid(flat(-0.5, 1.5, np.inf), columns=3))
    assert pixels[0, 0, 0] == 0
    assert pixels[0, READABLE + GUTTER, 0] == 255
    assert pixels[0, -1, 0] == 255


def test_clear_gutters():
    grid = image_grid(flat(0.0, 1.0), columns=2, background=CLEAR)
    alpha = np.asarray(grid)[..., 3]
    assert (alpha[:, READABLE : READABLE + GUTTER] == 0).all()
    assert (alpha[:, :READABLE] == 255).all()


def test_originals_stand_above_their_reconstructions():
    grid = pair_grid(flat(0.0, 0.2, 0.4), flat(0.6, 0.8, 0.9), columns=2)
    column = np.asarray(grid)[:, 0, 0]
    tops = [0, READABLE + GUTTER]
    tops += [tops[1] + READABLE + PAIR_GAP]
    tops += [tops[2] + READABLE + GUTTER]
    assert [column[top] for top in tops] == [0, 153, 102, 230]
    assert len(column) == tops[3] + READABLE
    assert (column[tops[1] + READABLE : tops[2]] == 255).all()


@pytest.mark.parametrize(
    "images, complaint",
    [
        (np.zeros((2, 28, 28)), r"shape \(n, height, width, channels\).*\(2, 28, 28\)"),
        (np.zeros((2, 28, 28, 2)), "1 or 3 channels"),
        (np.zeros((0, 28, 28, 1)), "at least one image"),
        (np.zeros((1, 0, 28, 1)), "at least one image"),
        (np.zeros((1, 8, 8, 1), dtype=np.uint8), "uint8. Divide bytes by 255"),
        (np.full((1, 8, 8, 1), np.nan), "NaN"),
    ],
)
def test_what_is_no_stack_of_images_is_refused(images, complaint):
    with pytest.raises(DataError, match=complaint):
        image_grid(images, columns=2)


def test_other_errors():
    with pytest.raises(DataError, match="at least 1 column, found 0"):
        image_grid(flat(0.0), columns=0)
    with pytest.raises(DataError, match=r"one reconstruction for every original.*\(1, .*\(2, "):
        pair_grid(flat(0.0), flat(0.0, 1.0), columns=2)


def test_files_hold_the_grids(tmp_path):
    save_grid(tmp_path / "new" / "grid.png", flat(0.0, 1.0), columns=2)
    save_pairs(str(tmp_path / "pairs.png"), flat(0.0), flat(1.0), columns=2)
    with Image.open(tmp_path / "new" / "grid.png") as picture:
        assert picture.format == "PNG"
        assert picture.tobytes() == image_grid(flat(0.0, 1.0), columns=2).tobytes()
    with Image.open(tmp_path / "pairs.png") as picture:
        assert picture.tobytes() == pair_grid(flat(0.0), flat(1.0), columns=2).tobytes()


def test_a_refused_grid_writes_no_file(tmp_path):
    with pytest.raises(DataError):
        save_grid(tmp_path / "grid.png", np.zeros((0, 8, 8, 1)), columns=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "count, most, shown, columns",
    [
        (64, 8, 64, 8),
        (16, 10, 16, 8),
        (20, 10, 20, 10),
        (13, 10, 12, 6),
        (9, 8, 8, 4),
        (3, 8, 3, 3),
    ],
)
def test_every_row_is_full(count, most, shown, columns):
    assert full_rows(count, most) == (shown, columns)
