"""With a stand-in for uv; what it prints was printed by uv 0.13.9."""

import json
import os
import time

import pytest

from kelbo.clinic.recipes import build as building
from kelbo.clinic.recipes.build import UnavailableError, build, explain, install, run_uv
from kelbo.clinic.recipes.cache import Cache
from kelbo.clinic.recipes.environments import ENVIRONMENTS
from tests.clinic.recipes.support import environment, executable, gone

BAD_PIN = """\
Using Python 3.11.7 environment at: v
error: No solution found when resolving dependencies
  cause: Because there is no version of keras==3.99.1 and you require keras==3.99.1, we can \
conclude that your requirements are unsatisfiable.
"""
WRONG_PYTHON = """\
error: No solution found when resolving dependencies
  cause: Because tensorflow==1.15.5 has no wheels with a matching Python ABI tag (e.g., `cp311`) \
and you require tensorflow==1.15.5, we can conclude that your requirements are unsatisfiable.

hint: You require CPython 3.11 (`cp311`), but we only found wheels for `tensorflow` (v1.15.5) with \
the following Python ABI tags: `cp36m`, `cp37m`
"""
ABOUT_NETWORKX = """\
error: No solution found when resolving dependencies
  cause: Because you require networkx==3.3 and networkx==3.2, we can conclude that your \
requirements are unsatisfiable.
"""
NO_NAME_SERVER = """\
error: Request failed after 3 retries in 5.6s
  cause: Failed to fetch: https://nowhere.invalid/simple/keras/
  cause: error sending request for url (https://nowhere.invalid/simple/keras/)
  cause: client error (Connect)
  cause: dns error
  cause: error resolving DNS
  cause: failed to lookup address information: Name or service not known
"""
NO_PYTHON_FETCHED = """\
error: Request failed after 3 retries in 8.5s
  cause: Failed to download `https://nowhere.invalid/20250115/cpython-3.13.1.tar.gz`
  cause: error sending request for url (https://nowhere.invalid/20250115/cpython-3.13.1.tar.gz)
  cause: client error (Connect)
  cause: dns error
"""
OFFLINE = """\
error: No solution found when resolving dependencies
  cause: Because keras was not found in the cache and you require keras==3.15.1, we can conclude \
that your requirements are unsatisfiable.

hint: Packages were unavailable because the network was disabled. When the network is disabled, \
registry packages may only be read from the cache.
"""
NO_INTERPRETER = """\
error: No interpreter found for Python 3.99 in managed installations

hint: uv embeds available Python downloads and may require an update to install new versions.
"""
NO_ROOM = """\
Resolved 1 package in 248ms
Prepared 1 package in 862ms
warning: Failed to hardlink files; falling back to full copy. This may lead to degraded performance.
error: Failed to install: numpy-2.1.0.whl (numpy==2.1.0)
  cause: Failed to copy to `/small/v/lib/python3.11/site-packages/numpy.libs/libgfortran.so.5.0.0`
  cause: failed to copy file from /cache/uv/a.so to /small/v/.tmpBOmjZj: No space left on \
device (os error 28)
"""
NO_BUILD = """\
error: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

         [stderr]
         no
"""


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            BAD_PIN,
            "a pin does not install: Because there is no version of keras==3.99.1 and you require "
            "keras==3.99.1, we can conclude that your requirements are unsatisfiable.",
        ),
        (
            ABOUT_NETWORKX,
            "a pin does not install: Because you require networkx==3.3 and networkx==3.2, we can "
            "conclude that your requirements are unsatisfiable.",
        ),
        (
            WRONG_PYTHON,
            "a pin does not install: Because tensorflow==1.15.5 has no wheels with a matching "
            "Python ABI tag (e.g., `cp311`) and you require tensorflow==1.15.5, we can conclude "
            "that your requirements are unsatisfiable.",
        ),
        (NO_NAME_SERVER, "no network: cannot reach https://nowhere.invalid/simple/keras/"),
        (
            NO_PYTHON_FETCHED,
            "no network: cannot reach https://nowhere.invalid/20250115/cpython-3.13.1.tar.gz",
        ),
        (OFFLINE, "no network: cannot reach the package index"),
        (
            NO_INTERPRETER,
            "no interpreter: No interpreter found for Python 3.99 in managed installations",
        ),
        (
            NO_ROOM,
            "the disk is full: failed to copy file from /cache/uv/a.so to "
            "/small/v/.tmpBOmjZj: No space left on device (os error 28)",
        ),
        (
            NO_BUILD,
            "uv failed: The build backend returned an error: Call to "
            "`setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)",
        ),
        ("error: unexpected argument\n", "uv failed: unexpected argument"),
        ("something else\n", "uv failed: something else"),
        ("\n", "uv failed: no message"),
    ],
)
def test_the_reason_is_one_line_that_a_person_understands(stderr, reason):
    assert explain(stderr) == reason


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """A stand-in for uv that writes down its arguments, makes the venv, and does as it is told.

    `uv.installing` is what it does when it is asked to install.
    """

    class Stand:
        calls = tmp_path / "calls"

        def __init__(self):
            self.installing("exit 0")

        def installing(self, body, venv='for last; do :; done; mkdir -p "$last/bin"'):
            cases = f'case "$*" in *" venv "*)\n{venv}\n;; *)\n{body}\n;; esac'
            path = executable(tmp_path / "uv", f'echo "$@" >> {self.calls}\n{cases}')
            monkeypatch.setattr(building.uv, "find_uv_bin", lambda: str(path))

        @property
        def log(self):
            return self.calls.read_text().splitlines() if self.calls.exists() else []

    return Stand()


@pytest.fixture(autouse=True)
def interpreters(monkeypatch):
    """No interpreter is looked for; there is one of every version."""
    monkeypatch.setattr(building, "find_interpreter", lambda version: f"/usr/bin/python{version}")


def printed(text, code=2):
    return f"cat >&2 <<'END'\n{text}END\nexit {code}"


def test_what_is_built_is_whole_and_says_of_what(cache, uv):
    fake = environment(python="3.7")
    build(fake, cache)
    venv, pip = uv.log
    directory = cache.directory(fake)
    assert venv.endswith(f"venv --python /usr/bin/python3.7 --clear {directory}")
    assert f"pip install --python {directory}/bin/python -r " in pip
    facts = json.loads((directory / "kelbo.json").read_text())
    assert (facts["environment"], facts["python"]) == ("fake", "/usr/bin/python3.7")
    assert cache.is_built(fake)


def test_what_is_there_is_not_built_again(cache, uv):
    build(environment(), cache)
    before = uv.log
    build(environment(), cache)
    assert uv.log == before


def test_what_is_installed_is_the_lock_or_the_pins(uv, tmp_path):
    kept = tmp_path / "requirements"
    uv.installing(f'for last; do :; done; cp "$last" {kept}')
    fake = environment(pins=("one==1.0", "two==2.0"))
    install(fake, tmp_path / "python", 10.0)
    assert kept.read_text() == "one==1.0\ntwo==2.0\n"
    install(ENVIRONMENTS["tf-2.8"], tmp_path / "python", 10.0)
    assert "tensorflow-cpu==2.8.4\n" in kept.read_text()


def test_other_pins_are_another_environment(cache, uv):
    build(environment(), cache)
    build(environment(pins=("nothing==2.0",)), cache)
    assert len(uv.log) == 4


def test_an_environment_that_was_interrupted_is_built_anew(cache, uv):
    fake = environment()
    leftover = cache.directory(fake) / "half"
    leftover.mkdir(parents=True)
    build(fake, cache)
    assert cache.is_built(fake)
    assert not leftover.exists()


def test_a_python_that_the_machine_lacks_is_uvs_own(cache, uv, monkeypatch):
    """Never one of the path: pyenv puts names there that only refuse."""
    monkeypatch.setattr(building, "find_interpreter", lambda version: None)
    build(environment(python="3.7"), cache)
    assert " venv --managed-python --python 3.7 --clear " in uv.log[0]


def nothing_is_left(cache, fake):
    return not cache.is_built(fake) and not cache.directory(fake).exists()


@pytest.mark.parametrize("stderr", [BAD_PIN, NO_NAME_SERVER, NO_ROOM])
def test_what_cannot_be_installed_is_not_available_and_leaves_nothing(cache, uv, stderr):
    fake = environment()
    uv.installing(printed(stderr))
    with pytest.raises(UnavailableError) as raised:
        build(fake, cache)
    assert str(raised.value) == explain(stderr)
    assert nothing_is_left(cache, fake)
    uv.installing("exit 0")
    build(fake, cache)
    assert cache.is_built(fake)


def test_a_missing_interpreter_is_not_available(cache, uv):
    uv.installing("exit 0", venv=printed(NO_INTERPRETER))
    with pytest.raises(UnavailableError, match="^no interpreter: .*3.99"):
        build(environment(), cache)
    assert len(uv.log) == 1
    assert nothing_is_left(cache, environment())


def test_a_uv_that_dies_is_not_available(cache, uv):
    uv.installing("kill -KILL $$")
    with pytest.raises(UnavailableError, match="^uv failed: no message$"):
        build(environment(), cache)
    assert nothing_is_left(cache, environment())


def test_a_uv_that_hangs_is_killed_with_all_that_it_started(cache, uv, tmp_path):
    """What it started holds its pipes open, so waiting for their end would wait for ever."""
    number = tmp_path / "number"
    uv.installing(f"sleep 60 &\necho $! > {number}\nsleep 60")
    start = time.monotonic()
    with pytest.raises(UnavailableError, match=r"^uv did not finish in 0\.5 s$"):
        build(environment(), cache, time_limit=0.5)
    assert time.monotonic() - start < 20.0
    assert gone(int(number.read_text()))
    assert nothing_is_left(cache, environment())


def test_a_machine_without_uv_says_so(cache, monkeypatch):
    def missing():
        raise FileNotFoundError("no uv in this installation")

    monkeypatch.setattr(building.uv, "find_uv_bin", missing)
    with pytest.raises(UnavailableError, match="^uv cannot be run: no uv in this installation$"):
        build(environment(), cache)


def test_a_full_disk_before_uv_is_told_with_the_place(cache, uv, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "finish", full)
    with pytest.raises(UnavailableError) as raised:
        build(environment(), cache)
    assert str(raised.value) == f"No space left on device ({cache.directory(environment())})"
    assert nothing_is_left(cache, environment())


def test_ctrl_c_leaves_nothing_half_built(cache, uv, monkeypatch):
    def pressed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "install", pressed)
    with pytest.raises(KeyboardInterrupt):
        build(environment(), cache)
    assert nothing_is_left(cache, environment())


@pytest.fixture
def variables(uv, tmp_path, monkeypatch):
    """What uv sees of the caller's variables."""
    for name in list(os.environ):
        if name.startswith("UV_"):
            monkeypatch.delenv(name)

    def seen(**given):
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        uv.installing(f"env > {tmp_path / 'env'}")
        run_uv(["pip"], 10.0)
        lines = (tmp_path / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line.startswith(("UV_", "VIRTUAL")))

    return seen


def test_pytorch_comes_without_cuda(variables):
    assert variables() == {"UV_TORCH_BACKEND": "cpu"}


def test_who_asks_for_another_pytorch_gets_it(variables):
    assert variables(UV_TORCH_BACKEND="cu130") == {"UV_TORCH_BACKEND": "cu130"}


def test_who_has_wheels_of_their_own_gets_them(variables):
    assert variables(UV_FIND_LINKS="/wheels") == {"UV_FIND_LINKS": "/wheels"}


def test_the_callers_virtual_environment_is_left_alone(variables):
    assert "VIRTUAL_ENV" not in variables(VIRTUAL_ENV="/home/somebody/venv")
