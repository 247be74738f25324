import numpy as np
import pytest
from PIL import Image

from kelbo.data import inspection
from kelbo.data.inspection import Inspection
from kelbo.errors import DataError


@pytest.fixture
def paths(tmp_path):
    """Six files, of which 1 and 4 are damaged."""
    for i in range(6):
        path = tmp_path / f"{i}.png"
        Image.new("RGB" if i % 2 else "L", (5 + i, 3)).save(path)
        if i in (1, 4):
            path.write_bytes(b"")
    return [str(tmp_path / f"{i}.png") for i in range(6)]


def test_sound_files_keep_the_order_that_is_asked_for(paths):
    files = Inspection(paths)
    assert files.sound(np.array([5, 4, 3, 1, 0, 2]), None, strict=False).tolist() == [5, 3, 0, 2]
    assert files.shapes.tolist() == [
        [3, 5, 1], [0, 0, 0], [3, 7, 1], [3, 8, 3], [0, 0, 0], [3, 10, 3],
    ]  # fmt: skip
    assert sorted(files.damaged) == [1, 4]


def test_no_more_files_are_inspected_than_a_limit_needs_and_none_twice(paths, monkeypatch):
    inspected = []
    real = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", lambda path: inspected.append(path) or real(path))
    files = Inspection(paths)
    for _ in range(2):
        assert files.sound(np.array([4, 0, 1, 2, 3, 5]), 2, strict=False).tolist() == [0, 2]
        assert sorted(inspected) == [paths[i] for i in (0, 1, 2, 4)]


def test_strict_names_the_first_damaged_file(paths):
    with pytest.raises(DataError, match=r"4\.png cannot be read: .*Repair it or remove it"):
        Inspection(paths).sound(np.array([0, 4, 1]), None, strict=True)


def test_nothing_but_damaged_files_is_an_error(paths):
    with pytest.raises(DataError, match=r"None of 2 images can be read. The first: .*1\.png"):
        Inspection(paths).sound(np.array([1, 4]), None, strict=False)
