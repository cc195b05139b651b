"""Decoded images and masks of a folder, from the files or from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from runner.contracts import IGNORE
from runner.data.arrays import count_classes
from runner.data.cache import ArrayCache, key_of
from runner.data.files import collected, read_image
from runner.data.pairs import Pair
from runner.data.segmentation.classes import ClassMap
from runner.data.segmentation.masks import read_mask
from runner.data.unmapped import told_once
from runner.errors import DataError, Problem

DECODERS = 4
"""Masks decoded at once when all are measured; more would hold more large masks in memory."""


@dataclass(frozen=True)
class Store:
    """Reads pairs as arrays of the size that they are trained at.

    Attributes:
        classes: how masks are decoded.
        resize: height and width that every image is brought to; as stored where None.
        cache: None to decode at each reading.
    """

    classes: ClassMap
    resize: tuple[int, int] | None
    cache: ArrayCache | None

    def shape(self, pair: Pair) -> tuple[int, int]:
        """Return height and width of the arrays of a pair."""
        return self.resize or (pair.height, pair.width)

    def image(self, pair: Pair) -> NDArray[np.uint8]:
        """Return the image, (H, W, 3) uint8; it may be read-only."""
        build = partial(_decoded_image, pair, self.resize)
        return self.cache.load(self.image_key(pair), build) if self.cache else build()

    def mask(self, pair: Pair) -> NDArray[np.uint8]:
        """Return the mask, (H, W) uint8 class indices with 255 ignored; it may be read-only.

        Of an image without one, 255 throughout.
        """
        if pair.mask is None:
            return np.full(self.shape(pair), IGNORE, np.uint8)
        build = partial(_decoded_mask, pair, self.resize, self.classes)
        return self.cache.load(self.mask_key(pair), build) if self.cache else build()

    def image_key(self, pair: Pair) -> str:
        """Return the key of everything that the decoded image depends on."""
        how = interpolation((pair.height, pair.width), self.resize)
        return key_of(kind="image", file=pair.image, resize=self.resize, interpolation=how)

    def mask_key(self, pair: Pair) -> str:
        """Return the key of everything that the decoded mask depends on."""
        how = cv2.INTER_NEAREST_EXACT
        classes = self.classes.content
        return key_of(
            kind="mask", file=pair.mask, resize=self.resize, interpolation=how, classes=classes
        )

    def require_room(self, pairs: Sequence[Pair]) -> None:
        """Raise a MachineError where the disk has no room for what the cache still lacks."""
        if self.cache is None:
            return
        missing_bytes = 0
        for pair in pairs:
            height, width = self.shape(pair)
            missing_bytes += 3 * height * width * (self.image_key(pair) not in self.cache)
            is_lacking = pair.mask is not None and self.mask_key(pair) not in self.cache
            missing_bytes += height * width * is_lacking
        self.cache.require_room(missing_bytes)


def class_pixels(store: Store, pairs: Sequence[Pair]) -> list[float]:
    """Return the pixels of each class over the masks of labelled images, ignored ones left out.

    Raises: DataError: everything that is wrong with any of the masks.
    """
    classes = len(store.classes.classes)
    problems: list[Problem] = []

    def counted(pair: Pair) -> NDArray[np.int64]:
        with collected(problems):
            return count_classes(store.mask(pair), classes)
        return np.zeros(classes, np.int64)

    with ThreadPoolExecutor(max_workers=DECODERS) as pool:
        labelled = [pair for pair in pairs if pair.is_labelled]
        total = sum(pool.map(counted, labelled), start=np.zeros(classes, np.int64))
    if problems:
        raise DataError(told_once(sorted(problems, key=str)))
    return [float(count) for count in total]


def interpolation(shape: Sequence[int], resize: tuple[int, int] | None) -> int:
    """Return how an image is resized: averaged where it shrinks, else details alias.

    Args:
        shape: height and width of the image.
        resize: height and width that it is brought to.
    """
    if resize and resize[0] <= shape[0] and resize[1] <= shape[1]:
        return cv2.INTER_AREA
    return cv2.INTER_LINEAR


def _decoded_image(pair: Pair, resize: tuple[int, int] | None) -> NDArray[np.uint8]:
    image = read_image(Path(pair.image.path))
    return resized(image, resize, interpolation(image.shape, resize)) if resize else image


def _decoded_mask(
    pair: Pair, resize: tuple[int, int] | None, classes: ClassMap
) -> NDArray[np.uint8]:
    assert pair.mask is not None, pair.name
    mask = read_mask(Path(pair.mask.path), classes)
    return resized(mask, resize, cv2.INTER_NEAREST_EXACT) if resize else mask


def resized(array: NDArray[np.uint8], size: tuple[int, int], how: int) -> NDArray[np.uint8]:
    """Return an image or a mask brought to a height and a width."""
    height, width = size
    return np.asarray(cv2.resize(array, (width, height), interpolation=how), np.uint8)
