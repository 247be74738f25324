"""What is known of the image files of a folder: the shape of each, or why it cannot be read.

A file is decoded to find that out (`image_file.inspect`), so that a damaged one is found when the
folder is loaded and not in the middle of a training. No pixels are kept, and what is known takes
12 bytes a file.
"""

import logging
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from kelbo.data.image_file import UNREADABLE, inspect
from kelbo.errors import DataError

logger = logging.getLogger("kelbo")

_CHUNK = 256  # files inspected between two looks at the limit
_NAMED = 5  # damaged files named in one warning


class Inspection:
    """What is known of image files; a file is inspected when it is first asked for.

    Attributes:
        paths: the files.
        shapes: int32 (files, 3), the (height, width, channels) of each; zeros where it is damaged
            or has not been inspected.
        damaged: why a file cannot be read, by its position in `paths`.
    """

    def __init__(self, paths: Sequence[str]):
        self.paths = paths
        self.shapes = np.zeros((len(paths), 3), dtype=np.int32)
        self.damaged: dict[int, str] = {}

    def sound(self, positions: np.ndarray, limit: int | None, strict: bool) -> np.ndarray:
        """The first `limit` positions with files that can be decoded.

        Damaged ones are left out, and named in one warning.

        Raises:
            DataError: no file can be decoded, or one cannot and `strict` is on.
        """
        wanted = len(positions) if limit is None else limit
        sound: list[int] = []
        damaged: list[int] = []
        with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
            # Pillow warns of images so large that `inspect` refuses them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            while len(sound) < wanted and len(sound) + len(damaged) < len(positions):
                start = len(sound) + len(damaged)
                chunk = positions[start : start + min(_CHUNK, wanted - len(sound))].tolist()
                self._inspect(chunk, threads)
                sound += [position for position in chunk if position not in self.damaged]
                damaged += [position for position in chunk if position in self.damaged]
                if damaged and strict:
                    path, reason = self.paths[damaged[0]], self.damaged[damaged[0]]
                    raise DataError(f"{path} cannot be read: {reason}. Repair it or remove it.")
        if not sound:
            raise DataError(
                f"None of {len(damaged)} images can be read. The first: {self._named(damaged[0])}."
            )
        if damaged:
            more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
            logger.warning(
                "%d of %d images cannot be read and are left out: %s%s.",
                len(damaged),
                len(damaged) + len(sound),
                ", ".join(self._named(position) for position in damaged[:_NAMED]),
                more,
            )
        return np.array(sound)

    def _inspect(self, positions: Sequence[int], threads: ThreadPoolExecutor) -> None:
        unknown = [i for i in positions if not self.shapes[i, 0] and i not in self.damaged]
        paths = [self.paths[position] for position in unknown]
        for position, result in zip(unknown, threads.map(_inspected, paths), strict=True):
            if isinstance(result, str):
                self.damaged[position] = result
            else:
                self.shapes[position] = result

    def _named(self, position: int) -> str:
        return f"{self.paths[position]} ({self.damaged[position]})"


def _inspected(path: str) -> tuple[int, int, int] | str:
    try:
        return inspect(path)
    except UNREADABLE as error:
        return str(error) or type(error).__name__
