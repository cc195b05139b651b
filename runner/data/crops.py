"""Where crops are taken: cuts that a sampler chooses, tiles that cover an image once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.contracts import IGNORE

BLOCK_PIXELS = 1 << 16
"""Pixels searched at once for a class; a block stays in the processor's cache."""


@dataclass(frozen=True)
class UniformCut:
    """Every position equally likely."""

    def __call__(
        self, mask: NDArray[np.uint8], size: Sequence[int], generator: np.random.Generator
    ) -> tuple[int, ...]:
        """Return the first corner of the crop."""
        edges = zip(mask.shape, size, strict=True)
        return tuple(int(generator.integers(0, whole - part + 1)) for whole, part in edges)


@dataclass(frozen=True)
class CentredCut:
    """Around a pixel of the wanted classes, with a probability; elsewhere uniform.

    The pixel is drawn uniformly among all of these classes in the item. It comes to lie anywhere
    in the crop with equal probability, as far as the border of the item allows: a class always
    in the middle would teach the network its place.

    Attributes:
        classes: indices.
        probability: that the crop is taken around such a pixel, where the item has one.
    """

    classes: tuple[int, ...]
    probability: float

    def __call__(
        self, mask: NDArray[np.uint8], size: Sequence[int], generator: np.random.Generator
    ) -> tuple[int, ...]:
        """Return the first corner of the crop."""
        if generator.random() < self.probability:
            pixel = _drawn_pixel(mask, self.classes, generator)
            if pixel is not None:
                return tuple(
                    int(generator.integers(max(0, at - part + 1), min(at, whole - part) + 1))
                    for at, part, whole in zip(pixel, size, mask.shape, strict=True)
                )
        return UniformCut()(mask, size, generator)


def _drawn_pixel(
    mask: NDArray[np.uint8], classes: Sequence[int], generator: np.random.Generator
) -> tuple[int, ...] | None:
    """Return one of the pixels of the classes, each equally likely; None where there is none.

    They are counted block by block and listed in one block alone: listing all of a large mask
    would take longer than all else that a crop needs.
    """
    flat = mask.reshape(-1)
    blocks = [flat[start : start + BLOCK_PIXELS] for start in range(0, len(flat), BLOCK_PIXELS)]
    ends = np.cumsum([np.count_nonzero(_is_any(block, classes)) for block in blocks])
    if not ends[-1]:
        return None
    rank = int(generator.integers(ends[-1]))
    chosen = int(np.searchsorted(ends, rank, side="right"))
    places = np.flatnonzero(_is_any(blocks[chosen], classes))
    place = chosen * BLOCK_PIXELS + int(places[rank - int(ends[chosen])])
    return tuple(map(int, np.unravel_index(place, mask.shape)))


def _is_any(values: NDArray[np.uint8], classes: Sequence[int]) -> NDArray[np.bool_]:
    # Faster than a table for the few classes that are rare.
    found = values == classes[0]
    for index in classes[1:]:
        found |= values == index
    return np.asarray(found)


@dataclass(frozen=True)
class Tile:
    """A crop of a regular grid.

    Attributes:
        corner: first pixel, along each axis.
        covered: leading pixels along each axis that an earlier tile holds already.
    """

    corner: tuple[int, ...]
    covered: tuple[int, ...]


def tiles_of(shape: Sequence[int], size: Sequence[int]) -> tuple[Tile, ...]:
    """Return tiles that cover an item; those at its far edges are shifted inward.

    Args:
        shape: edge lengths of the item.
        size: edge lengths of a tile; along an axis where the item is smaller there is one tile.
    """
    axes = []
    for whole, part in zip(shape, size, strict=True):
        starts = range(0, max(1, whole), part)
        axes.append([(max(0, min(start, whole - part)), start) for start in starts])
    return tuple(
        Tile(tuple(at for at, _ in each), tuple(start - at for at, start in each))
        for each in product(*axes)
    )


def cut_out(
    array: NDArray[Any], corner: Sequence[int], size: Sequence[int], fill: float
) -> NDArray[Any]:
    """Return a crop in memory of its own, padded at its far edges where the array ends.

    Args:
        array: (*spatial) or (*spatial, C).
        corner: first pixel, within the array.
        size: edge lengths of the crop.
        fill: value of the padding.
    """
    part = array[tuple(slice(at, at + edge) for at, edge in zip(corner, size, strict=True))]
    if part.shape[: len(size)] == tuple(size):
        return np.array(part)
    crop = np.full((*size, *array.shape[len(size) :]), fill, array.dtype)
    crop[tuple(slice(edge) for edge in part.shape[: len(size)])] = part
    return crop


def ignore_covered(mask: NDArray[np.uint8], covered: Sequence[int]) -> None:
    """Set to ignore, in place, what an earlier tile holds already."""
    for axis, pixels in enumerate(covered):
        mask[(slice(None),) * axis + (slice(pixels),)] = IGNORE
