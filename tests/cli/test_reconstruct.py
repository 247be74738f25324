import pytest
from PIL import Image

from tests.cli.program import kelbo


# Digits of 28 pixels are enlarged three times; 12 pixels part one row of pairs from the next.
@pytest.mark.parametrize(("n", "size"), [(20, (858, 4 * 84 + 2 * 2 + 12)), (3, (256, 170))])
def test_reconstructions_stand_below_their_images(trained, tmp_path, n, size):
    out = tmp_path / "reconstructions.png"
    result = kelbo("reconstruct", trained, "-n", n, "--out", out)
    assert (result.code, result.out) == (0, f"{out}\n")
    with Image.open(out) as picture:
        assert picture.size == size


def test_there_are_no_more_than_the_test_images(trained, tmp_path):
    assert kelbo("reconstruct", trained, "-n", 1000, "--out", tmp_path / "x.png").code == 0
