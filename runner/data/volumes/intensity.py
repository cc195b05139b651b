"""How the intensities of a volume are brought to a common scale: figures measured once for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runner.data.files import problem
from runner.errors import DataError

Normalise = Literal["percentile", "zscore", "none"]

SLAB_VOXELS = 1 << 21
"""Voxels measured at once, which bounds the memory that a large volume takes."""

SUBSAMPLED_VOXELS = 1 << 22
"""Voxels of a float volume that its percentiles are taken from, on a regular grid."""


@dataclass(frozen=True)
class Normalisation:
    """Which figures are measured.

    Attributes:
        kind: ``zscore``: mean 0 and standard deviation 1; ``percentile``: the two percentiles
            become 0 and 1, and what lies beyond is cut off; ``none``: values as stored.
        percentiles: the two, in percent; None for the other kinds.
    """

    kind: Normalise
    percentiles: tuple[float, float] | None = None


@dataclass(frozen=True)
class Intensity:
    """The figures of one volume, in its own unit.

    Attributes:
        mean: what becomes 0.
        std: what becomes 1 above it; never 0.
        low, high: what values are cut off at; infinite where they are not.
    """

    mean: float = 0.0
    std: float = 1.0
    low: float = -np.inf
    high: float = np.inf


def measure_intensity(path: Path, volume: NDArray[Any], how: Normalisation) -> Intensity:
    """Return the figures of a volume, read slab by slab.

    Args:
        path: to name in an error.
        volume: (depth, height, width), memory-mapped or in memory.
        how: which figures.
    Raises: DataError: it holds infinite values, or such that are no numbers.
    """
    if volume.dtype.kind == "f":
        _require_finite(path, volume)
    if how.kind == "none":
        return Intensity()
    if how.kind == "zscore":
        mean, std = _moments(volume)
        # A constant volume becomes 0 all over, not NaN.
        return Intensity(mean, std or 1.0)
    assert how.percentiles is not None, "checked with the recipe"
    low, high = _percentiles(volume, how.percentiles)
    return Intensity(low, (high - low) or 1.0, low, high)


def slabs_of(volume: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield consecutive slices of a volume that are together about ``SLAB_VOXELS`` large."""
    depth = max(1, SLAB_VOXELS // max(1, volume[0].size))
    return (volume[start : start + depth] for start in range(0, len(volume), depth))


def _require_finite(path: Path, volume: NDArray[Any]) -> None:
    wrong = sum(int(slab.size - np.isfinite(slab).sum()) for slab in slabs_of(volume))
    if wrong:
        message = f"{wrong:,} voxels are infinite or no number; replace them in the file"
        raise DataError(problem(path, message))


def _moments(volume: NDArray[Any]) -> tuple[float, float]:
    """Return mean and standard deviation, merged over slabs (Chan et al. 1979)."""
    count, mean, squares = 0, 0.0, 0.0
    for slab in slabs_of(volume):
        values = slab.astype(np.float64)
        own = float(values.mean())
        values -= own
        delta, total = own - mean, count + slab.size
        squares += float(np.vdot(values, values)) + delta**2 * count * slab.size / total
        mean += delta * slab.size / total
        count = total
    return mean, float(np.sqrt(squares / count))


def _percentiles(volume: NDArray[Any], percent: tuple[float, float]) -> tuple[float, float]:
    """Return two values of the volume that at least so many percent of its voxels do not exceed."""
    if volume.dtype.kind in "bui" and volume.dtype.itemsize <= 2:
        lowest = np.iinfo(volume.dtype).min if volume.dtype.kind == "i" else 0
        counts = np.zeros(1 << (8 * volume.dtype.itemsize), np.int64)
        for slab in slabs_of(volume):
            values = slab.astype(np.int64).reshape(-1) - lowest
            counts += np.bincount(values, minlength=len(counts))
        ranks = np.asarray(percent) / 100 * volume.size
        # The smallest value itself is the percentile 0.
        places = np.searchsorted(np.cumsum(counts), np.maximum(ranks, 1))
        low, high = (float(place + lowest) for place in places)
        return low, high
    step = int(np.ceil((volume.size / SUBSAMPLED_VOXELS) ** (1 / 3)))
    grid = np.asarray(volume[::step, ::step, ::step], np.float64)
    low, high = np.percentile(grid, percent, method="inverted_cdf")
    return float(low), float(high)
