import sys
import types

import pytest

from kelbo.backends import choice as backend
from kelbo.errors import BackendError, UsageError


@pytest.fixture
def machine(monkeypatch):
    """A machine with these backends installed, and nothing decided yet."""

    def set_up(installed=("tensorflow", "jax", "torch"), gpu=False, plugin=False, running=None):
        found = {*installed, *(["jax_cuda12_plugin"] if plugin else [])}
        monkeypatch.setattr(backend, "find_spec", lambda name: name if name in found else None)
        monkeypatch.setattr(backend, "_has_gpu", lambda: gpu)
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        if running:
            keras = types.SimpleNamespace(backend=types.SimpleNamespace(backend=lambda: running))
            monkeypatch.setitem(sys.modules, "keras", keras)

    return set_up


ALL = ("tensorflow", "jax", "torch")


@pytest.mark.parametrize(
    ("installed", "gpu", "plugin", "network", "expected", "reason"),
    [
        (ALL, False, False, None, "tensorflow", "convolutions on a CPU"),
        (ALL, False, False, "conv", "tensorflow", "convolutions on a CPU"),
        (ALL, False, False, "mlp", "jax", "dense layers on a CPU"),
        (("tensorflow", "torch"), False, False, "mlp", "tensorflow", "dense layers on a CPU"),
        (("jax", "torch"), False, False, None, "jax", "convolutions on a CPU"),
        (("torch",), False, False, None, "torch", "the one that is installed"),
        (ALL, True, True, "conv", "jax", "it can use the GPU"),
        (ALL, True, False, None, "tensorflow", "on a CPU"),
        (("tensorflow", "jax"), False, True, None, "tensorflow", "on a CPU"),
        (("torch",), True, True, None, "torch", "the one that is installed"),
    ],
)
def test_prefers_jax_where_it_can_use_a_gpu_else_the_fastest_installed_for_the_network(
    machine, installed, gpu, plugin, network, expected, reason
):
    machine(installed, gpu, plugin)
    chosen, why = backend.preferred(network)
    assert chosen == expected and reason in why
    assert backend.choose(network=network) == (expected, why)


def test_says_how_to_install_one_where_there_is_none(machine):
    machine(())
    with pytest.raises(BackendError, match=r"pip install 'kelbo\[tensorflow\]'"):
        backend.choose()


def test_an_unknown_backend_is_answered_with_the_nearest(machine):
    machine()
    with pytest.raises(UsageError, match="no backend 'pytorch'. Did you mean 'torch'"):
        backend.require("pytorch")


def test_a_backend_not_installed_is_answered_with_its_pip_line(machine):
    machine(("tensorflow",))
    with pytest.raises(BackendError, match=r"'jax' is not installed.*pip install 'kelbo\[jax\]'"):
        backend.choose("jax")


def test_a_choice_goes_into_the_environment_for_keras_to_read(machine):
    machine()
    assert backend.choose("torch") == ("torch", "as asked for")
    assert backend.os.environ["KERAS_BACKEND"] == "torch"


def test_keras_backend_is_honoured(machine, monkeypatch):
    machine()
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert backend.choose() == ("torch", "from KERAS_BACKEND")
    assert backend.choose("jax") == ("jax", "as asked for")


@pytest.mark.parametrize(
    ("value", "error"), [("theano", UsageError), ("jax", BackendError)], ids=["unknown", "missing"]
)
def test_a_keras_backend_that_cannot_run_is_refused(machine, monkeypatch, value, error):
    machine(("tensorflow",))
    monkeypatch.setenv("KERAS_BACKEND", value)
    with pytest.raises(error, match=value):
        backend.choose()


def test_a_running_keras_wins_over_the_environment(machine, monkeypatch):
    machine(running="torch")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert backend.choose() == ("torch", "Keras already runs on it")
    assert backend.choose("torch") == ("torch", "as asked for")


def test_a_running_keras_cannot_change_its_backend(machine):
    machine(running="torch")
    with pytest.raises(UsageError, match="runs on 'torch'.*cannot change to 'jax'"):
        backend.choose("jax")
