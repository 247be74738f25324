from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import ExifTags, Image

from kelbo.data import image_file
from kelbo.data.image_file import UNREADABLE, in_unit_range, inspect


def decode(path, channels, size):
    return in_unit_range(image_file.decode(path, channels, size))


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_png_pixels_are_exact(tmp_path):
    colour, grey = noise(5, 7), noise(5, 7, 1)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert inspect(tmp_path / "colour.png") == (5, 7, 3)
    assert inspect(tmp_path / "grey.png") == (5, 7, 1)
    exact = colour / np.float32(255)
    np.testing.assert_array_equal(decode(tmp_path / "colour.png", 3, None), exact)
    exact = (grey / np.float32(255))[..., None]
    np.testing.assert_array_equal(decode(tmp_path / "grey.png", 1, None), exact)
    np.testing.assert_array_equal(decode(tmp_path / "grey.png", 3, None), exact.repeat(3, -1))


def test_colour_becomes_grey(tmp_path):
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "red.png")
    assert decode(tmp_path / "red.png", 1, None) == pytest.approx(0.299, abs=1 / 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_grey_keeps_its_precision(tmp_path, channels):
    deep = np.array([[0, 1, 256], [32768, 65534, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert inspect(tmp_path / "deep.png") == (2, 3, 1)
    pixels = decode(tmp_path / "deep.png", channels, None)
    assert pixels.shape == (2, 3, channels)
    for channel in range(channels):
        np.testing.assert_allclose(pixels[..., channel], deep / 65535, rtol=1e-6)


def test_16_bit_grey_can_be_resized(tmp_path):
    Image.fromarray(np.full((8, 8), 1000, dtype=np.uint16)).save(tmp_path / "deep.png")
    pixels = decode(tmp_path / "deep.png", 1, (4, 4))
    np.testing.assert_allclose(pixels, np.full((4, 4, 1), 1000 / 65535), rtol=1e-5)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    image = Image.new(mode, (2, 1), 0)
    image.putalpha(Image.fromarray(np.array([[0, 255]], dtype=np.uint8)))
    image.save(tmp_path / "clear.png")
    channels = inspect(tmp_path / "clear.png")[2]
    assert channels == (3 if mode == "RGBA" else 1)
    pixels = decode(tmp_path / "clear.png", channels, None)
    assert (pixels[0, 0] == 1).all() and (pixels[0, 1] == 0).all()


@pytest.mark.parametrize("mode", ["1", "P", "CMYK"])
def test_other_modes_are_converted(tmp_path, mode):
    path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
    Image.new("RGB", (8, 8), "white").convert(mode).save(path)
    assert inspect(path) == (8, 8, 1 if mode == "1" else 3)
    np.testing.assert_allclose(decode(path, 3, None), 1, atol=1 / 255)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    pixels = np.zeros((8, 16), dtype=np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be shown turned by a quarter, clockwise
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(pixels).save(path, exif=exif)
    assert inspect(path) == (16, 8, 1)
    image = decode(path, 1, None)
    assert image.shape == (16, 8, 1)
    np.testing.assert_allclose(image[:8], 1, atol=0.02)
    np.testing.assert_allclose(image[8:], 0, atol=0.02)


@pytest.mark.parametrize("size", [(4, 4), (3, 9), (40, 24)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_resizing_keeps_the_mean(tmp_path, suffix, size):
    grey = np.full((20, 32), 100, dtype=np.uint8)
    grey[::2] = 140
    Image.fromarray(grey).resize((320, 200)).save(tmp_path / f"big.{suffix}")
    pixels = decode(tmp_path / f"big.{suffix}", 1, size)
    assert pixels.shape == (*size, 1)
    assert pixels.mean() == pytest.approx(120 / 255, abs=0.03)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_found_out(tmp_path, suffix, options, kept):
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    Image.fromarray(noise(64, 64)).save(whole, **options)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * kept)])
    inspect(whole)
    with pytest.raises(UNREADABLE):
        inspect(cut)
    with pytest.raises(UNREADABLE):
        decode(cut, 3, None)


def test_what_is_no_png_or_jpeg_is_refused(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "image.gif")
    (tmp_path / "image.gif").rename(tmp_path / "image.png")
    with pytest.raises(UNREADABLE, match="cannot identify"):
        inspect(tmp_path / "image.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [1000, 100])
def test_a_decompression_bomb_is_refused_unread(tmp_path, monkeypatch, limit):
    Image.new("L", (40, 50)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UNREADABLE, match="(?i)2000 ?pixels|40 x 50 pixels"):
        inspect(tmp_path / "bomb.png")


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(image_file, "_LARGE", 99)
    for name, side in {"small": 9, "large": 10}.items():
        Image.new("L", (side, side)).save(tmp_path / f"{name}.png")
    with ThreadPoolExecutor(1) as thread, image_file._opened(tmp_path / "large.png"):
        thread.submit(inspect, tmp_path / "small.png").result()
        other = thread.submit(inspect, tmp_path / "large.png")
        with pytest.raises(TimeoutError):
            other.result(timeout=0.1)
    assert other.result() == (10, 10, 1)
