"""One PNG or JPEG file -> its shape, or its pixels.

- The EXIF orientation is applied.
- Transparency is laid over white.
- 16-bit grey keeps its precision: 0..65535 becomes [0, 1].
- A file that declares more pixels than `PIL.Image.MAX_IMAGE_PIXELS` is refused unread.
- Large images are decoded one at a time, however many threads ask for them.
"""

import contextlib
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from kelbo.data.checks import from_bytes
from kelbo.data.resize import fit

SUFFIXES = (".png", ".jpg", ".jpeg")

# What Pillow raises for damaged files, apart from the class of the damage.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# Pixels. Pillow's limit lets a file of 100 kB decode to 350 MB: one such image is bearable, one in
# each of the threads that read a folder is not.
_LARGE = 2**24
_one_large_image = threading.Lock()

_GREY_MODES = ("1", "L", "LA", "La")
_SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that exchange height and width


def inspect(path: str | Path) -> tuple[int, int, int]:
    """The (height, width, channels) of an image whose pixel data are sound.

    The pixels are decoded, for less finds no damage: of 40 cuts through a JPEG file Pillow's
    `verify` noticed at most 3, decoding all of them. JPEG is decoded at an eighth of its size,
    which reads every byte in a fifth to a half of the time.

    Raises:
        OSError, ValueError and the others of `UNREADABLE`: the file is damaged, cut short,
            too large, or no PNG or JPEG.
    """
    with _opened(path) as image:
        width, height = image.size
        channels = 1 if image.mode in _GREY_MODES or _is_16_bit(image) else 3
        image.draft(None, (1, 1))
        image.load()
        if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS:
            height, width = width, height
    return height, width, channels


def decode(path: str | Path, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    """The pixels of an image, (height, width, channels).

    They are uint8, 0..255; of a 16-bit grey image, which 8 bits would spoil, float32 in [0, 1].

    Args:
        path: the file.
        channels: 1 or 3; grey becomes colour and colour grey.
        size: (height, width) to scale and crop to, or None for the size that it has.

    Raises:
        OSError, ValueError and the others of `UNREADABLE`: the file cannot be read.
    """
    with _opened(path) as image:
        if size is not None:
            # A JPEG decodes faster at a half, quarter or eighth; twice the size wanted is enough.
            image.draft(None, (2 * max(size), 2 * max(size)))
        ImageOps.exif_transpose(image, in_place=True)
        plain = _plain(image, channels)
    if size is not None:
        plain = fit(plain, size)
    pixels = np.asarray(plain)
    if plain.mode == "F":
        pixels = pixels.clip(0, 1)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return pixels if pixels.shape[-1] == channels else np.repeat(pixels, channels, axis=-1)


def in_unit_range(pixels: np.ndarray) -> np.ndarray:
    """What `decode` returns, as float32 in [0, 1]."""
    return from_bytes(pixels) if pixels.dtype == np.uint8 else pixels


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    with Image.open(path, formats=("PNG", "JPEG")) as image:
        pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
        if limit is not None and pixels > limit:
            raise ValueError(
                f"{image.width} x {image.height} pixels, more than PIL.Image.MAX_IMAGE_PIXELS, "
                f"{limit}"
            )
        with _one_large_image if pixels > _LARGE else contextlib.nullcontext():
            yield image


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """To mode L or RGB with pixels 0..255, or for 16-bit grey to mode F with pixels in [0, 1]."""
    if _is_16_bit(image):
        # Pillow's own conversion to 8 bits differs between its versions; this one loses nothing.
        return Image.fromarray(np.asarray(image, dtype=np.float32) / np.float32(65535))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def _is_16_bit(image: Image.Image) -> bool:
    return image.mode.startswith("I")
