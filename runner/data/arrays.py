"""Arrays of samples and masks: handled in blocks, counted, laid out for a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runner.contracts import Sample

BLOCK_PIXELS = 1 << 20
"""Pixels handled at once, which bounds the memory that a large mask takes on its way."""


def blocks(length: int) -> Iterator[slice]:
    """Return slices that cover a length, ``BLOCK_PIXELS`` at once."""
    return (slice(start, start + BLOCK_PIXELS) for start in range(0, length, BLOCK_PIXELS))


def count_classes(mask: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Return the pixels of each class in a mask of any shape; ignored pixels are not counted."""
    flat = mask.reshape(-1)
    counts = np.zeros(256, np.int64)
    for rows in blocks(len(flat)):
        counts += np.bincount(flat[rows], minlength=256)
    return counts[:classes]


def contiguous(sample: Sample) -> Sample:
    """Return a sample whose arrays lie in memory as a batch will hold them."""
    target = {name: np.ascontiguousarray(value) for name, value in sample.target.items()}
    return replace(sample, image=np.ascontiguousarray(sample.image), target=target)
