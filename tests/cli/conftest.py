import shutil

import numpy as np
import pytest

from tests.cli.program import MNIST, SMALL, kelbo


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of a VAE on a slice of MNIST; not to be changed."""
    path = tmp_path_factory.mktemp("runs") / "first"
    result = kelbo("train", *MNIST, *SMALL, "--epochs", 2, "--out", path)
    assert result.code == 0, result
    return path


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that run."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def images(tmp_path):
    """A file of 30 random 6 x 6 images."""
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).random((30, 6, 6), "float32"))
    return path


@pytest.fixture
def no_report(monkeypatch):
    """Leave the report out, which takes longer than all the rest."""
    monkeypatch.setattr("kelbo.report.write_report", lambda run: None)
