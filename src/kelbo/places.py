"""Where kelbo keeps what it has made for itself and can make again."""

import os
from pathlib import Path

import platformdirs

# An environment variable: where that is, if not where the system has such things.
PLACE = "KELBO_CACHE"


def cache_directory(kind: str) -> Path:
    """The folder for one kind of things: in $KELBO_CACHE, or in the user's cache directory."""
    place = os.environ.get(PLACE)
    return (Path(place) if place else Path(platformdirs.user_cache_dir("kelbo"))) / kind
