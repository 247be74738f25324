import io
import pathlib

import pytest
from rich.console import Console

from kelbo.cli import console
from kelbo.cli.cache_progress import CacheProgress

PLACE = pathlib.Path("/home/someone/.cache/kelbo/images/photos-0123456789ab")


def shown(monkeypatch, terminal):
    """What is said and drawn while 300 images are decoded."""
    stream = io.StringIO()
    stderr = Console(
        file=stream, width=80, force_terminal=terminal, force_interactive=terminal,
        color_system=None,
    )  # fmt: skip
    monkeypatch.setattr(console, "stderr", stderr)
    with CacheProgress() as watcher:
        watcher.waiting(PLACE)
        watcher.writing(300, "they, or what decodes them, have changed since")
        for images in (100, 200, 300):
            watcher.decoded(images)
            watcher.progress.refresh()
        watcher.ready(PLACE, 300, 2_345_678)
    return stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_it_says_why_images_are_decoded_and_where_the_cache_is(monkeypatch, terminal):
    text = shown(monkeypatch, terminal)
    words = " ".join(text.split())
    assert (
        "300 images are decoded now, once, because they, or what decodes them, have changed since."
        in words
    )
    assert "another process is writing" in words
    assert f"300 images, 2.3 MB in {PLACE}. Delete that folder to free the space." in words
    assert ("200/300" in text) == terminal


def test_the_bar_goes_when_the_work_fails(monkeypatch):
    with pytest.raises(KeyboardInterrupt), CacheProgress() as watcher:
        watcher.writing(300, "there is no cache of them yet")
        raise KeyboardInterrupt
    assert not watcher.progress.live.is_started
