"""The seeded split of one set of images into a training and a test part."""

import numpy as np

from kelbo.errors import DataError


def split(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training part and of the test part, the last tenth of a permutation.

    The test part holds at least one image. The same count and seed give the same split.

    Raises:
        DataError: there are fewer than two images.
    """
    if count < 2:
        raise DataError(
            f"Expected at least 2 images, one to train on and one to test on, found {count}."
        )
    order = np.random.default_rng(seed).permutation(count)
    test = max(1, count // 10)
    return order[:-test], order[-test:]
