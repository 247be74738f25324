"""Where kelbo keeps the files that it can make again."""

import os
from pathlib import Path

import platformdirs

# The environment variable that replaces the user's cache directory.
PLACE = "KELBO_CACHE"


def cache_directory(kind: str) -> Path:
    """The folder for one kind of files: in $KELBO_CACHE, or in the user's cache directory."""
    place = os.environ.get(PLACE)
    return (Path(place) if place else Path(platformdirs.user_cache_dir("kelbo"))) / kind
