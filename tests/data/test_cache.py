import errno
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from kelbo.data import cache as caches
from kelbo.data import image_file
from kelbo.data.cache import CachedImages, Watcher, default_place
from kelbo.data.folder import ImageFiles, load_folder
from kelbo.data.load import load
from kelbo.errors import DataError

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")


def save(path, seed=0, size=(6, 9), mode="RGB", orientation=None):
    """Noise of (height, width), as it is shown when the orientation is applied."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size[::-1] if orientation == 6 else size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    image = Image.fromarray(pixels)
    image = image if mode == "RGBA" else image.convert("L" if mode == "LA" else "RGB").convert(mode)
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    image.save(path, exif=exif)


@pytest.fixture
def folder(tmp_path):
    for i in range(20):
        save(tmp_path / "images" / "ab"[i % 2] / f"{i:02}.png", i)
    return tmp_path / "images"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "caches"


class Told(Watcher):
    """Remembers what it was told."""

    def __init__(self):
        self.reasons, self.images, self.paths, self.waits = [], 0, [], 0

    def waiting(self, path):
        self.waits += 1

    def writing(self, images, reason):
        self.reasons.append(reason)

    def decoded(self, images):
        self.images = images

    def ready(self, path, images, size):
        self.paths.append(path)


def reasons(folder, place, **options):
    """Why the cache is written by a load; nothing, if it is not."""
    told = Told()
    load_folder(folder, cache=place, watcher=told, **options)
    return told.reasons


def assert_same(one, other):
    for part in ("train", "test"):
        images = [data.read(part, range(data.count(part))) for data in (one, other)]
        assert images[0].dtype == images[1].dtype == np.float32
        np.testing.assert_array_equal(*images)
        np.testing.assert_array_equal(one.labels(part), other.labels(part))
    assert (one.name, one.source, one.label_names) == (other.name, other.source, other.label_names)


def everything_in(place):
    return sorted(path.name for path in place.rglob("*")) if place.exists() else []


@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(MODES), st.sampled_from([None, 3, 6])), min_size=2, max_size=6
    ),
    channels=st.sampled_from([None, 1, 3]),
    image_size=st.sampled_from([None, (6, 9), (4, 4), (13, 7)]),
    seed=st.integers(0, 3),
    binarization=st.sampled_from(["none", "threshold", "static", "dynamic"]),
)
def test_the_data_are_the_same_bit_for_bit(
    tmp_path_factory, kinds, channels, image_size, seed, binarization
):
    folder = tmp_path_factory.mktemp("images")
    for i, (mode, orientation) in enumerate(kinds):
        suffix = "jpg" if mode == "CMYK" else "png"
        save(folder / "ab"[i % 2] / f"{i}.{suffix}", i, mode=mode, orientation=orientation)
    options = {"channels": channels, "image_size": image_size, "seed": seed}
    options["binarization"] = binarization
    plain = load(folder, **options)
    for _ in range(2):  # written, then found
        cached = load(folder, **options, cache=folder / "caches")
        assert isinstance(cached.train, CachedImages)
        assert_same(plain, cached)
        assert plain.data_shape == cached.data_shape


def test_a_cache_is_written_once_and_serves_every_seed(folder, place, monkeypatch):
    told = Told()
    load_folder(folder, cache=place, watcher=told)
    assert told.reasons == ["there is no cache of them yet"] and told.images == 20
    monkeypatch.delattr(image_file.Image, "open")
    monkeypatch.setattr("kelbo.data.inspection.inspect", None)
    for seed in range(3):
        assert reasons(folder, place, seed=seed) == []
    assert told.paths[0].parent == place


def test_the_cache_keeps_bytes_and_none_of_it_is_read_before_it_is_asked_for(folder, place):
    data = load_folder(folder, cache=place)
    assert data.train.pixels.dtype == np.uint8
    assert data.train.pixels is data.test.pixels
    assert isinstance(data.train.pixels.base, np.memmap)
    assert not data.train.pixels.flags.writeable
    files = load_folder(folder)
    np.testing.assert_array_equal(data.train.read_bytes([3, 1]), files.train.read_bytes([3, 1]))


@pytest.mark.parametrize(
    "options",
    [{"train_limit": 5}, {"test_limit": 1, "seed": 4}, {"image_size": (3, 3)}, {"channels": 1}],
)
def test_another_choice_is_another_cache_and_the_same_data(folder, place, options):
    assert len(reasons(folder, place)) == 1
    told = Told()
    cached = load_folder(folder, cache=place, watcher=told, **options)
    assert len(told.reasons) == 1
    assert_same(load_folder(folder, **options), cached)
    assert reasons(folder, place, **options) == reasons(folder, place) == []
    # With a limit no more files are decoded than are needed.
    assert told.images == cached.count("train") + cached.count("test")


def test_train_and_test_folders_are_honoured(tmp_path, place):
    for i in range(6):
        save(tmp_path / "set" / "train" / "ab"[i % 2] / f"{i}.png", i)
    save(tmp_path / "set" / "test" / "c" / "9.png", 9)
    cached = load_folder(tmp_path / "set", cache=place)
    assert (cached.count("train"), cached.count("test")) == (6, 1)
    assert_same(load_folder(tmp_path / "set"), cached)


@pytest.mark.parametrize("parts", [False, True])
def test_a_folder_is_the_same_by_whatever_name(tmp_path, place, monkeypatch, parts):
    names = ("train", "test") if parts else ("a", "b")
    for i in range(10):
        save(tmp_path / "set" / names[i % 2] / f"{i}.png", i)
    (tmp_path / "link").symlink_to(tmp_path / "set")
    load_folder(tmp_path / "set", cache=place)
    monkeypatch.chdir(tmp_path / "set")
    for name in (".", "../set", "../link"):
        assert reasons(pathlib.Path(name), place) == []


def changed(folder):
    save(folder / "a" / "00.png", 99)


def touched(folder):
    os.utime(folder / "a" / "00.png", (1, 1))


def added(folder):
    save(folder / "b" / "new.png", 99)


def removed(folder):
    (folder / "a" / "00.png").unlink()


def renamed(folder):
    (folder / "a" / "00.png").rename(folder / "a" / "0.png")


@pytest.mark.parametrize("change", [changed, touched, added, removed, renamed])
def test_a_changed_folder_makes_a_new_cache_and_says_so(folder, place, change):
    load_folder(folder, cache=place)
    before = everything_in(place)
    change(folder)
    told = Told()
    cached = load_folder(folder, cache=place, watcher=told)
    assert told.reasons == ["they, or what decodes them, have changed since"]
    assert_same(load_folder(folder), cached)
    assert len(everything_in(place)) == len(before)  # the old one is gone
    assert reasons(folder, place) == []


def test_another_format_is_another_cache(folder, place, monkeypatch):
    load_folder(folder, cache=place)
    monkeypatch.setattr(caches, "FORMAT", caches.FORMAT + 1)
    assert len(reasons(folder, place)) == 1


def shortened(path):
    os.truncate(path, path.stat().st_size - 1)


def emptied(path):
    os.truncate(path, 0)


def lengthened(path):
    with path.open("ab") as stream:
        stream.write(b"\0")


def pickled(path):
    np.save(path.with_suffix(".npy"), np.array([print]), allow_pickle=True)
    path.with_suffix(".npy").replace(path)


def of_another_type(path):
    np.save(path.with_suffix(".npy"), np.zeros((20, 6, 9, 3)))
    path.with_suffix(".npy").replace(path)


def of_fewer_images(path):
    np.save(path.with_suffix(".npy"), np.zeros((19, 6, 9, 3), np.uint8))
    path.with_suffix(".npy").replace(path)


def taken_away(path):
    path.unlink()


@pytest.mark.parametrize("name", ["pixels.npy", "shapes.npy", "cache.json"])
@pytest.mark.parametrize(
    "damage",
    [shortened, emptied, lengthened, pickled, of_another_type, of_fewer_images, taken_away],
)
def test_a_damaged_cache_is_never_used(folder, place, name, damage):
    load_folder(folder, cache=place)
    (path,) = place.rglob(name)
    damage(path)
    told = Told()
    cached = load_folder(folder, cache=place, watcher=told)
    assert told.reasons == ["the cache of them was damaged"]
    assert_same(load_folder(folder), cached)
    assert reasons(folder, place) == []


def test_a_cache_that_was_deleted_is_made_again(folder, place):
    told = Told()
    load_folder(folder, cache=place, watcher=told)
    caches.shutil.rmtree(told.paths[0])
    assert reasons(folder, place) == ["there is no cache of them yet"]


def test_damaged_files_are_named_in_the_same_words_at_every_start(folder, place, caplog):
    (folder / "a" / "00.png").write_bytes(b"")
    content = (folder / "b" / "01.png").read_bytes()
    (folder / "b" / "01.png").write_bytes(content[:-30])
    plain = load_folder(folder)
    said = caplog.messages[:]
    assert said and "00.png" in " ".join(said) and "01.png" in " ".join(said)
    for _ in range(2):
        caplog.clear()
        assert_same(plain, load_folder(folder, cache=place))
        assert [m for m in caplog.messages if "left out" in m] == said
    with pytest.raises(DataError) as strictly:
        load_folder(folder, strict=True)
    with pytest.raises(DataError) as from_cache:
        load_folder(folder, strict=True, cache=place)
    assert str(strictly.value) == str(from_cache.value)


def test_colour_among_grey_is_said_at_every_start(folder, place, caplog):
    save(folder / "a" / "grey.png", mode="L")
    for _ in range(2):
        caplog.clear()
        load_folder(folder, cache=place)
        assert "20 of 21 images are in colour" in caplog.text


def test_16_bits_are_refused_and_nothing_is_kept(folder, place):
    Image.fromarray(np.zeros((6, 9), np.uint16)).save(folder / "a" / "deep.png")
    load_folder(folder)
    with pytest.raises(DataError, match=r"deep\.png is a 16-bit image.*without the cache"):
        load_folder(folder, cache=place)
    assert list(place.rglob("*.npy")) == []


@pytest.mark.parametrize("change", [changed, removed])
def test_a_file_that_changes_while_it_is_decoded_spoils_nothing(folder, place, change):
    class Changes(Told):
        def decoded(self, images):
            change(folder)

    with pytest.raises(DataError, match="changed while"):
        load_folder(folder, cache=place, watcher=Changes())
    assert list(place.rglob("*.npy")) == []
    assert_same(load_folder(folder), load_folder(folder, cache=place))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interruption_leaves_nothing(folder, place, error):
    class Interrupts(Told):
        def decoded(self, images):
            raise error

    with pytest.raises(error):
        load_folder(folder, cache=place, watcher=Interrupts())
    assert [name for name in everything_in(place) if name != "lock"] == [
        path.name for path in place.iterdir()
    ]
    assert reasons(folder, place) == ["there is no cache of them yet"]


def test_a_full_disk_is_said_before_and_while_it_fills(folder, place, monkeypatch):
    class Usage:
        free = 10

    with monkeypatch.context() as patch:
        patch.setattr(caches.shutil, "disk_usage", lambda path: Usage)
        with pytest.raises(DataError, match=r"takes 0 MB and .* has 0 MB\. .*KELBO_CACHE"):
            load_folder(folder, cache=place)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(caches.os, "fsync", full)
        with pytest.raises(DataError, match="No space left on device.*Nothing of it is kept"):
            load_folder(folder, cache=place)
    assert list(place.rglob("*.npy")) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="no permission is missing here")
def test_a_place_that_may_not_be_written_to(folder, place):
    place.mkdir(mode=0o500)
    with pytest.raises(DataError, match="Permission denied.*KELBO_CACHE"):
        load_folder(folder, cache=place)


def test_a_place_that_is_a_file(folder, place):
    place.touch()
    with pytest.raises(DataError, match="cannot be written"):
        load_folder(folder, cache=place)


# Processes: each says "decoded" on a line when it is told of decoded images.
PROGRAM = """
import pathlib, sys
from kelbo.data.cache import Watcher
from kelbo.data.folder import load_folder

class Says(Watcher):
    def writing(self, images, reason):
        print("writing", flush=True)
    def waiting(self, path):
        print("waiting", flush=True)
    def decoded(self, images):
        print("decoded", flush=True)
        sys.stdin.readline()

data = load_folder(pathlib.Path(sys.argv[1]), cache=pathlib.Path(sys.argv[2]), watcher=Says())
print(data.read("train", range(18)).sum(), flush=True)
"""


def start(folder, place):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_one_writes_and_the_other_waits(folder, place):
    with start(folder, place) as first:
        assert [first.stdout.readline() for _ in range(2)] == ["writing\n", "decoded\n"]
        with start(folder, place) as second:
            assert second.stdout.readline() == "waiting\n"
            first.stdin.write("go on\n")
            first.stdin.flush()
            assert first.stdout.readline() == second.stdout.readline() != ""
            assert second.stdout.read() == ""  # it has decoded nothing


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_a_process_that_is_killed_leaves_nothing_that_is_used(folder, place, how, heeding_ctrl_c):
    with start(folder, place) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["writing\n", "decoded\n"]
        process.send_signal(how)
        assert process.wait() != 0
    if how == signal.SIGINT:
        assert list(place.rglob("*.npy")) == []
    assert reasons(folder, place) == ["there is no cache of them yet"]
    assert len(list(place.rglob("*.npy"))) == 2  # what was killed is cleared away


def test_the_place_is_the_user_s_or_as_told(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KELBO_CACHE", str(tmp_path / "mine"))
    assert default_place() == tmp_path / "mine" / "images"
    load(folder, cache=True)
    assert len(list((tmp_path / "mine" / "images").iterdir())) == 1
    load(str(folder), cache=str(tmp_path / "other"))
    assert len(list((tmp_path / "other").iterdir())) == 1
    assert isinstance(load(folder).train, ImageFiles)


def test_data_in_memory_need_no_cache_and_are_told_so(caplog):
    data = load("mnist", train_limit=5, test_limit=5, cache=True)
    assert isinstance(data.train, np.ndarray)
    assert "mnist is held in memory" in caplog.text


def test_the_index_says_whose_cache_it_is(folder, place):
    load_folder(folder, cache=place)
    (index,) = place.rglob("cache.json")
    assert json.loads(index.read_text())["source"] == str(folder)
    assert index.parents[1].name.startswith("images-")
