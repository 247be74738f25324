"""Reports on stderr what happens to the cache of a folder of images."""

from pathlib import Path
from typing import Self

from kelbo.cli.console import counting_bar, say
from kelbo.data.cache import Watcher


class CacheProgress(Watcher):
    """Says why images are decoded, draws a bar meanwhile, and says where the cache is.

    Use it as a context around the loading, so that the bar goes away even if that fails.
    """

    def __init__(self) -> None:
        self.progress = counting_bar("Decoding")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def waiting(self, path: Path) -> None:
        """Say what this process waits for."""
        say(f"Cache: another process is writing {path}; waiting for it.")

    def writing(self, images: int, reason: str) -> None:
        """Say why, and show the bar."""
        say(f"Cache: {images:,} images are decoded now, once, because {reason}.")
        self.task = self.progress.add_task("", total=images)
        self.progress.start()

    def decoded(self, images: int) -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=images)

    def ready(self, path: Path, images: int, size: int) -> None:
        """Say what was written, and how to remove it."""
        self.progress.stop()
        say(
            f"Cache: {images:,} images, {size / 1e6:,.1f} MB in {path}. "
            "Delete that folder to free the space."
        )
