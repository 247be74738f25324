import numpy as np
import pytest
from PIL import Image

from tests.cli.program import SMALL, kelbo, refused


@pytest.mark.parametrize(("n", "columns", "rows"), [(64, 8, 8), (5, 3, 2), (1, 1, 1)])
def test_samples_are_one_picture(trained, tmp_path, n, columns, rows):
    out = tmp_path / "new" / "samples [1].png"
    result = kelbo("sample", trained, "-n", n, "--out", out)
    assert (result.code, result.out) == (0, f"{out}\n")
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        # Digits of 28 pixels are enlarged three times; the gutters are 2 pixels wide.
        assert picture.size == (columns * 86 - 2, rows * 86 - 2)


def test_the_seed_decides_the_draws(trained, tmp_path):
    def pixels(seed):
        assert (
            kelbo("sample", trained, "-n", 4, "--seed", seed, "--out", tmp_path / "x.png").code == 0
        )
        with Image.open(tmp_path / "x.png") as picture:
            return np.asarray(picture)

    np.testing.assert_array_equal(pixels(1), pixels(1))
    assert (pixels(1) != pixels(2)).any()


def test_an_autoencoder_has_no_prior_to_draw_from(images, tmp_path, no_report):
    run = tmp_path / "run"
    assert kelbo("train", "--data", images, *SMALL, "--model", "ae", "--out", run).code == 0
    message = refused("sample", run, "--out", tmp_path / "x.png", code=2)
    assert "no prior" in message
    assert "kelbo reconstruct" in message
    assert not (tmp_path / "x.png").exists()


def test_a_picture_that_cannot_be_written(trained, tmp_path):
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refused(
        "sample", trained, "--out", tmp_path / "file" / "x.png", code=1
    )
    (tmp_path / "folder.png").mkdir()
    out = tmp_path / "folder.png"
    assert str(out) in refused("sample", trained, "--out", out, code=2)


@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_a_picture_is_a_png(run, tmp_path, command):
    assert "ends in .png" in refused(command, run, "--out", tmp_path / "x.jpg", code=2)


def test_more_than_the_memory_holds_is_refused_before_it_is_drawn(trained, tmp_path):
    out = tmp_path / "x.png"
    message = refused("sample", trained, "-n", 10**9, "--out", out, code=2)
    assert (
        "1,000,000,000 images of 28 x 28 pixels, each shown 3 times as large, would need" in message
    )
    assert "GB of memory, and this machine has" in message
    assert not out.exists()
