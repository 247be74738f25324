"""Binarisation: grey pixels in [0, 1] made 0 or 1, in the four ways of the literature.

- none: the grey values stay.
- threshold: 1 where the pixel is at least one half.
- static: one Bernoulli draw with the pixel as its mean, made once and kept (Salakhutdinov and
  Murray, 2008; Larochelle and Murray, 2011).
- dynamic: a fresh Bernoulli draw for every training batch (Burda, Grosse and Salakhutdinov, 2016).
  The test images are drawn once, so that two evaluations see the same images.

Figures obtained with different ways cannot be compared: they are different data sets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kelbo.errors import UsageError, unknown_name

BINARIZATIONS = ("none", "threshold", "static", "dynamic")


def check_binarization(name: str) -> None:
    """Refuse a name that is not in `BINARIZATIONS`.

    Raises:
        UsageError: there is no such binarisation.
    """
    if name not in BINARIZATIONS:
        raise unknown_name("binarization", name, BINARIZATIONS)


def check_seed(seed: int) -> None:
    """Refuse a seed that NumPy's generators cannot take.

    Raises:
        UsageError: the seed is negative.
    """
    if seed < 0:
        raise UsageError(f"A seed is an integer of at least 0, not {seed}.")


def threshold(images: np.ndarray) -> np.ndarray:
    """1 where a pixel is at least one half, else 0; float32, the shape of `images`."""
    return (images >= 0.5).astype(np.float32)


def bernoulli(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One draw of a Bernoulli with the pixels as means; float32, the shape of `images`.

    Drawing from pixels that are 0 or 1 already returns them unchanged.
    """
    return (generator.random(images.shape) < images).astype(np.float32)


def bernoulli_each(images: np.ndarray, key: Iterable[int], indices: Iterable[int]) -> np.ndarray:
    """One draw for every image that depends on `key` and the image's own index alone.

    The draw of an image is the same whatever the batch it comes in.

    Args:
        images: (n, height, width, channels), in [0, 1].
        key: non-negative integers that name the draw.
        indices: n indices, one an image.
    """
    key = tuple(key)
    draws = [
        bernoulli(image, np.random.default_rng((*key, int(index))))
        for image, index in zip(images, indices, strict=True)
    ]
    return np.stack(draws)


@dataclass(frozen=True)
class Binarise:
    """Makes the grey pixels of one part of a data set 0 or 1 as they are read.

    Attributes:
        way: a name in `BINARIZATIONS`, other than "none".
        key: non-negative integers that name the draws made once.
        draws_afresh: whether every batch of every epoch has draws of its own.
    """

    way: str
    key: tuple[int, ...]
    draws_afresh: bool = False

    def once(self, images: np.ndarray, indices: Iterable[int]) -> np.ndarray:
        """The same pixels at every call: float32, the shape of `images`."""
        if self.way == "threshold":
            return threshold(images)
        return bernoulli_each(images, self.key, indices)

    def afresh(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draws with the generator: float32, the shape of `images`."""
        return bernoulli(images, generator)
