import subprocess
import sys

import filelock
import pytest

from kelbo.clinic.recipes.cache import Cache, default_cache
from kelbo.errors import LabError
from tests.clinic.recipes.support import environment


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def put(cache, fake, size):
    """A built environment with one file of `size` bytes."""
    directory = cache.directory(fake)
    directory.mkdir(parents=True)
    (directory / "file").write_bytes(b"x" * size)
    cache.finish(fake, {"environment": fake.name})
    return directory


def no_wait():
    raise AssertionError("had to wait")


def test_an_environment_is_built_when_its_last_file_is_there(cache):
    fake = environment()
    assert not cache.is_built(fake)
    cache.directory(fake).mkdir(parents=True)
    assert not cache.is_built(fake)
    cache.finish(fake, {})
    assert cache.is_built(fake)
    cache.discard(fake)
    assert not cache.is_built(fake)


def test_the_place_is_the_users_or_the_systems(monkeypatch, tmp_path):
    monkeypatch.setenv("KELBO_CACHE", str(tmp_path))
    assert default_cache() == tmp_path / "recipes"
    monkeypatch.delenv("KELBO_CACHE")
    assert default_cache().parts[-2:] == ("kelbo", "recipes")


def test_looking_at_a_cache_makes_none(cache):
    assert cache.sizes() == {}
    assert not cache.is_built(environment())
    assert cache.clean() == 0
    assert not cache.path.exists()


def test_sizes_are_what_the_disk_holds(cache):
    directory = put(cache, environment(), 1_000_000)
    assert cache.sizes()[directory.name] == pytest.approx(1_000_000, abs=20_000)


def test_what_two_environments_share_is_counted_once(cache):
    first = put(cache, environment("first"), 1_000_000)
    second = put(cache, environment("second"), 0)
    (second / "link").hardlink_to(first / "file")
    sizes = cache.sizes()
    assert sizes[first.name] > 900_000
    assert sizes[second.name] < 20_000
    assert cache.clean() == sum(sizes.values())


def test_a_file_that_vanishes_while_it_is_counted_counts_nothing(cache, monkeypatch):
    """Another run may be building there."""
    directory = put(cache, environment(), 1_000_000)
    walk = [(str(directory), [], ["gone", "file"])]
    monkeypatch.setattr("os.walk", lambda folder: walk)
    assert cache.sizes()[directory.name] == pytest.approx(1_000_000, abs=20_000)


def test_cleaning_leaves_nothing_and_says_how_much_that_was(cache):
    put(cache, environment(), 500_000)
    with cache.hold(environment("here"), no_wait):
        pass
    trial = cache.trial_path("fake", "on", "1-loss-closure-recipe")
    trial.parent.mkdir(parents=True)
    trial.write_text("{}")
    assert cache.clean() == pytest.approx(500_000, abs=20_000)
    assert list(cache.path.iterdir()) == []


def test_what_another_run_uses_is_kept_and_named(cache):
    used, free = environment("used"), environment("free")
    put(cache, used, 10)
    put(cache, free, 10)
    with cache.hold(used, no_wait):
        with pytest.raises(LabError, match=f"kept: used-{used.fingerprint}. The others were"):
            cache.clean()
        assert cache.is_built(used)
        assert not cache.is_built(free)
    cache.clean()
    assert not cache.is_built(used)


def test_an_environment_that_is_about_to_be_built_is_in_use(cache):
    """It is held, and has no directory yet."""
    fake = environment()
    with cache.hold(fake, no_wait):
        with pytest.raises(LabError, match="In use"):
            cache.clean()
        assert cache.directory(fake).parent.exists()


def test_who_holds_an_environment_is_waited_for(cache):
    fake = environment()
    waited = []
    with cache.hold(fake, no_wait):
        code = (
            "import sys, filelock\n"
            f"lock = filelock.FileLock({str(cache.directory(fake)) + '.lock'!r})\n"
            "try: lock.acquire(timeout=0)\n"
            "except filelock.Timeout: sys.exit(3)"
        )
        assert subprocess.run([sys.executable, "-c", code]).returncode == 3
    other = filelock.FileLock(str(cache.directory(fake)) + ".lock")
    other.acquire()
    with cache.hold(fake, lambda: (waited.append(fake.name), other.release())):
        assert waited == ["fake"]


def test_environments_do_not_wait_for_one_another(cache):
    with cache.hold(environment("first"), no_wait), cache.hold(environment("second"), no_wait):
        pass


def test_a_lock_is_taken_away_while_it_is_held(cache, monkeypatch):
    """Or one who waits for it would get the old file, and one who comes later a new one."""
    fake = environment()
    with cache.hold(fake, no_wait):
        pass
    path = cache.directory(fake).with_name(cache.directory(fake).name + ".lock")
    assert path.exists()
    there = []
    release = filelock.FileLock.release
    monkeypatch.setattr(
        filelock.FileLock,
        "release",
        lambda lock, *rest, **options: (
            there.append(path.exists()),
            release(lock, *rest, **options),
        ),
    )
    cache.clean()
    assert there[0] is False
