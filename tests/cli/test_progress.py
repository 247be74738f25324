import io

import keras
import pytest
from rich.console import Console

import kelbo
from kelbo.cli.progress import ProgressBar
from tests.support import data, tiny_ae, tiny_vae


def shown(width, terminal=True, make=tiny_vae, **options):
    """What a training of 2 epochs draws on a console; and its lines, moves of the cursor aside."""
    stream = io.StringIO()
    # Without this Rich leaves the animation out where the tests run without a terminal.
    console = Console(
        file=stream, width=width, force_terminal=terminal, force_interactive=terminal,
        color_system=None,
    )  # fmt: skip
    model = make(**options)
    model.compile(keras.optimizers.Adam(1e-3))
    bar = ProgressBar(console, batch_size=4, batches=3)
    x = data(12)
    model.fit(x, batch_size=4, epochs=2, verbose=0, validation_data=(x,), callbacks=[bar])
    bar.progress.refresh()
    bar.close()
    return stream.getvalue()


def drawn(text):
    return [line for part in text.split("\x1b[2K") for line in part.splitlines() if "Epoch" in line]


@pytest.mark.parametrize(("width", "speed"), [(80, "/s"), (120, " samples/s")])
def test_the_bar_fits_the_terminal_and_does_not_jump(width, speed):
    lines = drawn(shown(width))
    bars = [line for line in lines if "/3" in line]
    assert bars
    assert all(len(line) <= width for line in lines)
    assert {len(line) for line in bars} == {width}
    assert all(speed in line for line in bars)


def test_each_epoch_leaves_one_line_of_figures():
    lines = shown(80, terminal=False).splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        assert line.startswith(f"Epoch {number}/2  ")
        assert len(line) <= 80
        assert all(name in line for name in (" s  loss ", "  ELBO -", "(test -", "  KL "))


def test_a_warm_up_shows_the_beta_and_still_fits():
    schedule = kelbo.ELBO(beta=kelbo.LinearWarmup(100, 1.0))
    for line in shown(80, terminal=False, objective=schedule).splitlines():
        assert "  beta 0.0" in line
        assert len(line) <= 80


def test_an_autoencoder_has_a_loss_alone():
    for line in shown(80, terminal=False, make=tiny_ae).splitlines():
        assert "loss " in line
        assert "ELBO" not in line


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004134, "0.0041"), (-103.4149, "-103.41"), (12345.6, "12,346"), (float("nan"), "nan")],
)
def test_numbers_are_short(value, text):
    from kelbo.cli.progress import _number

    assert _number(value) == text
