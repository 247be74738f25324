"""Many small images as the tiles of one picture.

The images keep their pixels: they are enlarged by a whole factor with nearest neighbours, so that
what is seen is what the model made, and parted by thin gutters.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from kelbo.errors import DataError
from kelbo.files import replacing

WHITE = (255, 255, 255)
CLEAR = (0, 0, 0, 0)  # gutters that let a light or a dark page shine through

GUTTER = 2  # pixels between two tiles, after enlarging
PAIR_GAP = 12  # pixels between one row of pairs and the next
READABLE = 64  # pixels: tiles are enlarged until their longer side has at least as many


def image_grid(
    images: np.ndarray, columns: int, *, background: tuple[int, ...] = WHITE
) -> Image.Image:
    """Lay images out row by row; tiles that the last row lacks show the background.

    Args:
        images: (n, height, width, channels) floats in [0, 1], 1 or 3 channels. Values outside
            (the mean of a normal likelihood is not bounded) are clipped for display.
        columns: how many images stand in a row; fewer images make a narrower grid.
        background: the colour of the gutters, (red, green, blue) or with an alpha.

    Raises:
        DataError: the array is no such stack of images, is empty or holds NaN, or `columns` is
            less than 1.
    """
    tiles = _tiles(images)
    rows = _split(tiles, columns)
    return _assemble(rows, [GUTTER] * (len(rows) - 1), background)


def pair_grid(
    originals: np.ndarray,
    reconstructions: np.ndarray,
    columns: int,
    *,
    background: tuple[int, ...] = WHITE,
) -> Image.Image:
    """Lay out a row of originals, the row of their reconstructions below it, and so on.

    Args:
        originals: (n, height, width, channels) floats in [0, 1].
        reconstructions: of the same shape.
        columns: how many pairs stand side by side.
        background: the colour of the gutters, as in `image_grid`.

    Raises:
        DataError: as `image_grid`, or the two shapes differ.
    """
    if np.shape(originals) != np.shape(reconstructions):
        raise DataError(
            "Expected one reconstruction for every original, found originals of shape "
            f"{np.shape(originals)} and reconstructions of shape {np.shape(reconstructions)}."
        )
    above = _split(_tiles(originals), columns)
    below = _split(_tiles(reconstructions), columns)
    rows = [row for pair in zip(above, below, strict=True) for row in pair]
    gaps = [GUTTER if index % 2 == 0 else PAIR_GAP for index in range(len(rows) - 1)]
    return _assemble(rows, gaps, background)


def save_grid(path: str | Path, images: np.ndarray, columns: int) -> None:
    """Write `image_grid` as a PNG file, whole or not at all.

    Raises:
        DataError: as `image_grid`.
    """
    save_image(path, image_grid(images, columns))


def save_pairs(
    path: str | Path, originals: np.ndarray, reconstructions: np.ndarray, columns: int
) -> None:
    """Write `pair_grid` as a PNG file, whole or not at all.

    Raises:
        DataError: as `pair_grid`.
    """
    save_image(path, pair_grid(originals, reconstructions, columns))


def save_image(path: str | Path, image: Image.Image) -> None:
    """Write one image as a PNG file, whole or not at all."""
    with replacing(Path(path)) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def full_rows(count: int, most: int) -> tuple[int, int]:
    """How many of `count` tiles to show, in how many columns, so that every row is full.

    There are as few rows as `most` columns allow, and fewer tiles are left out than there are rows.
    """
    rows = -(-count // most)
    columns = count // rows
    return rows * columns, columns


def _tiles(images: np.ndarray) -> np.ndarray:
    """Check the images and turn them into enlarged uint8 tiles, (n, height, width, 3)."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise DataError(
            "Expected images of shape (n, height, width, channels) with 1 or 3 channels, "
            f"found shape {images.shape}."
        )
    if images.size == 0:
        raise DataError(f"Expected at least one image, found an empty array {images.shape}.")
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(
            f"Expected images as floats in [0, 1], found {images.dtype}. Divide bytes by 255."
        )
    if np.isnan(images).any():
        raise DataError("Expected images as floats in [0, 1], found NaN: the model has diverged.")
    scale = -(-READABLE // max(images.shape[1:3]))
    tiles = np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    return np.broadcast_to(tiles, (*tiles.shape[:3], 3))


def _split(tiles: np.ndarray, columns: int) -> list[np.ndarray]:
    if columns < 1:
        raise DataError(f"Expected a grid of at least 1 column, found {columns}.")
    return [tiles[start : start + columns] for start in range(0, len(tiles), columns)]


def _assemble(rows: list[np.ndarray], gaps: list[int], background: tuple[int, ...]) -> Image.Image:
    """Paste rows of tiles below each other, with `gaps[i]` pixels below row i."""
    height, width = rows[0].shape[1:3]
    columns = len(rows[0])
    size = (columns * (width + GUTTER) - GUTTER, len(rows) * height + sum(gaps))
    picture = Image.new("RGBA" if len(background) == 4 else "RGB", size, background)
    top = 0
    for row, gap in zip(rows, [*gaps, 0], strict=True):
        for column, tile in enumerate(row):
            picture.paste(Image.fromarray(tile), (column * (width + GUTTER), top))
        top += height + gap
    return picture
