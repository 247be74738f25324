import dataclasses
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import kelbo.clinic.recipes
from kelbo.clinic.recipes import environments
from kelbo.clinic.recipes.environments import (
    ENVIRONMENTS,
    HERE,
    find_environments,
    here,
    keras_3,
    tensorflow,
)
from kelbo.errors import UsageError
from tests.clinic.recipes.support import environment

LOCKS = Path(kelbo.clinic.recipes.__file__).parent / "locks"
every = pytest.mark.parametrize("fake", ENVIRONMENTS.values(), ids=lambda fake: fake.name)


def locked(fake):
    """The packages of a lock and their versions."""
    lines = (LOCKS / f"{fake.name}.txt").read_text().splitlines()
    parsed = [re.fullmatch(r"([a-z0-9-]+)==([\w.]+)", line) for line in lines]
    assert all(parsed), [line for line, found in zip(lines, parsed, strict=True) if not found]
    return {found[1]: found[2] for found in parsed}


def test_every_environment_that_was_asked_for_is_there():
    """Name: Python, and the packages that make it what it is."""
    wanted = {
        "tf-1.15": ("3.7", "tensorflow==1.15"),
        "tf-2.0": ("3.7", "tensorflow==2.0"),
        "tf-2.1": ("3.7", "tensorflow-cpu==2.1"),
        "tf-2.2": ("3.7", "tensorflow-cpu==2.2"),
        "tf-2.3": ("3.7", "tensorflow-cpu==2.3"),
        "tf-2.4": ("3.7", "tensorflow-cpu==2.4"),
        "tf-2.8": ("3.10", "tensorflow-cpu==2.8.4"),
        "tf-2.12": ("3.11", "tensorflow-cpu==2.12"),
        "tf-2.15": ("3.11", "tensorflow-cpu==2.15"),
        "tf-2.21-tf-keras": ("3.11", "tf-keras==2.21"),
        "keras-3.0-tensorflow": ("3.11", "keras==3.0"),
        "keras-3.0-jax": ("3.11", "keras==3.0"),
        "keras-3.0-torch": ("3.11", "keras==3.0"),
        "keras-3.15-tensorflow": ("3.11", "keras==3.15"),
        "keras-3.15-jax": ("3.11", "keras==3.15"),
        "keras-3.15-torch": ("3.11", "keras==3.15"),
    }
    assert list(ENVIRONMENTS) == list(wanted)
    for name, (python, pin) in wanted.items():
        assert ENVIRONMENTS[name].python == python
        assert any(found.startswith(pin) for found in ENVIRONMENTS[name].pins), name


@every
def test_a_lock_pins_every_package_exactly_and_agrees_with_the_pins(fake):
    packages = locked(fake)
    for pin in fake.pins:
        name, sign, number = re.fullmatch(r"([a-z0-9-]+)(==|<)([\w.]+)", pin).groups()
        if sign == "==":
            assert packages[name] == number
        else:
            limit = [int(part) for part in number.split(".")]
            assert [int(part) for part in packages[name].split(".")[: len(limit)]] < limit


@every
def test_a_lock_has_the_backend_and_its_keras(fake):
    packages = locked(fake)
    package = {"tensorflow": r"tensorflow(-cpu)?", "jax": "jax", "torch": "torch"}[fake.backend]
    assert any(re.fullmatch(package, name) for name in packages)
    if "keras" in packages and "tf-keras" not in packages:
        assert packages["keras"].startswith(f"{fake.keras}.")


def test_there_is_no_lock_of_an_environment_that_is_not_there():
    assert {path.name for path in LOCKS.iterdir()} == {f"{name}.txt" for name in ENVIRONMENTS}


def test_names_and_titles_are_unique():
    assert len({fake.title for fake in ENVIRONMENTS.values()}) == len(ENVIRONMENTS)
    assert len({fake.fingerprint for fake in ENVIRONMENTS.values()}) == len(ENVIRONMENTS)


@every
def test_only_tensorflow_has_two_modes(fake):
    assert fake.modes == (("on", "off") if fake.backend == "tensorflow" else ("on",))
    assert fake.default_mode == ("off" if fake.name == "tf-1.15" else "on")


def test_keras_is_told_its_backend_and_its_version():
    assert dict(ENVIRONMENTS["keras-3.0-jax"].variables) == {"KERAS_BACKEND": "jax"}
    assert dict(ENVIRONMENTS["tf-2.21-tf-keras"].variables) == {"TF_USE_LEGACY_KERAS": "1"}
    assert ENVIRONMENTS["tf-2.8"].variables == ()


def test_a_fingerprint_changes_with_python_and_pins_and_with_nothing_else():
    fake = environment()
    for changes in ({"python": "3.7"}, {"pins": ("nothing==1.1",)}):
        assert dataclasses.replace(fake, **changes).fingerprint != fake.fingerprint
    assert environment(title="x", default_mode="off").fingerprint == fake.fingerprint


def test_a_fingerprint_changes_with_the_lock(monkeypatch, tmp_path):
    (tmp_path / "locks").mkdir()
    lock = tmp_path / "locks" / "tf-2.8.txt"
    monkeypatch.setattr(environments, "files", lambda package: tmp_path)
    prints = [ENVIRONMENTS["tf-2.8"].fingerprint]
    for text in ("a==1.0\n", "a==1.1\n"):
        lock.write_text(text)
        prints.append(ENVIRONMENTS["tf-2.8"].fingerprint)
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    ("release", "python", "pins"),
    [
        ("1.15.0", "3.7", ("tensorflow==1.15.0", "protobuf==3.19.6", "numpy<2")),
        ("2.0.1", "3.7", ("tensorflow==2.0.1", "protobuf==3.19.6", "numpy<2")),
        (
            "2.7.4",
            "3.7",
            ("tensorflow-cpu==2.7.4", "protobuf==3.19.6", "numpy<2", "keras==2.7.0"),
        ),
        ("2.13.0", "3.11", ("tensorflow-cpu==2.13.0", "numpy<2", "keras==2.13.1")),
        ("2.15.0", "3.11", ("tensorflow-cpu==2.15.0", "numpy<2", "keras==2.15.0")),
    ],
)
def test_an_old_tensorflow_gets_what_it_could_use(release, python, pins):
    made = tensorflow(release)
    assert (made.python, made.pins, made.keras) == (python, pins, 2)


def test_an_old_keras_3_gets_backends_of_its_age():
    assert "tensorflow-cpu==2.16.2" in keras_3("3.11.3").pins
    assert "tensorflow-cpu==2.21.0" in keras_3("3.12.0").pins
    assert "jax==0.4.23" in keras_3("3.0.5", "jax").pins


def test_here_is_what_this_interpreter_can_be():
    """The tests' environment has all three backends, and tf-keras."""
    found = {fake.name: fake for fake in here()}
    assert list(found) == ["here-tensorflow", "here-jax", "here-torch", "here-tf-keras"]
    for fake in found.values():
        assert fake.interpreter == Path(sys.executable)
        assert f"keras=={version('keras')}" in fake.pins
    assert dict(found["here-tf-keras"].variables) == {"TF_USE_LEGACY_KERAS": "1"}
    assert (found["here-tf-keras"].keras, found["here-jax"].keras) == (2, 3)


def test_here_has_only_what_is_installed(monkeypatch):
    installed = {"keras": "3.15.1", "jax": "0.10.2"}
    monkeypatch.setattr(environments, "_installed", lambda package: installed.get(package, ""))
    (only,) = here()
    assert (only.name, only.pins) == ("here-jax", ("keras==3.15.1", "jax==0.10.2"))


def test_environments_are_found_by_name_in_the_tables_order():
    assert find_environments([]) == list(ENVIRONMENTS.values())
    found = find_environments(["tf-2.8", "tf-1.15", "tf-2.8"])
    assert [fake.name for fake in found] == ["tf-1.15", "tf-2.8"]
    assert find_environments([HERE]) == here()
    found = find_environments(["here-jax", "keras-3.0-jax"])
    assert [fake.name for fake in found] == ["keras-3.0-jax", "here-jax"]


@pytest.mark.parametrize(
    ("name", "nearest"), [("tf-2.9", "tf-2."), ("keras-3.15-tensorfow", "keras-3.15-tensorflow")]
)
def test_an_unknown_environment_names_the_nearest(name, nearest):
    with pytest.raises(UsageError, match=f"no environment {name!r}. Did you mean '{nearest}"):
        find_environments(["tf-2.8", name])
