"""The package's front: lazy, complete, honest about what it does not have."""

import subprocess
import sys

import pytest

import kelbo


def modules_after(code):
    """The top-level modules of a fresh interpreter after `code`."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_kelbo_imports_no_framework():
    modules = modules_after("import kelbo, kelbo.backends.choice, kelbo.errors; dir(kelbo)")
    assert "kelbo" in modules
    assert not modules & {"keras", "tensorflow", "jax", "torch", "numpy", "matplotlib"}


@pytest.mark.parametrize("name", kelbo.__all__)
def test_every_public_name_resolves(name):
    assert name in dir(kelbo)
    value = getattr(kelbo, name)
    if name != "__version__":
        assert value.__name__.removeprefix("kelbo.") == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'kelbo' has no attribute 'GAN'"):
        kelbo.GAN  # noqa: B018
