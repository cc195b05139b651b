"""A hash of how an image looks: alike for images that a person would call the same.

The image is averaged down to a few points an edge and transformed by a discrete cosine transform;
each bit says whether one of the 64 lowest frequencies is above their median. Brightness, contrast,
size and compression hardly change it; what is moved, turned or cut otherwise gets another one.
Few bits find candidates fast; whether they are the same is seen by the averaged images themselves.
Source: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runner.data.files import problem, read_header, require_8_bits, require_whole
from runner.errors import DataError

BITS = 64

_POINTS = {2: 32, 3: 16}
"""Points an edge of the averaged image, by its dimensions."""

_FREQUENCIES = {2: 8, 3: 4}
"""Frequencies along an edge that are kept: 64 of them in all."""

_FLATTEST_GREY_LEVELS = 2.0
"""Deviation below which an image shows nothing; all empty images would look alike."""

SAME = 0.95
"""Correlation of two thumbnails from which on two images are called the same.

Of 364 blood smears a pair of shots of one slide has 0.98, any other at most 0.66; of 260 brain
volumes cut out alike any has at most 0.83.
"""

_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: cv2.IMREAD_GRAYSCALE,
}


def image_thumbnail(path: Path) -> NDArray[np.float32] | None:
    """Return an image file averaged to (32, 32) grey levels; None where all is of one grey.

    Raises: DataError: it is missing, truncated, too large, cannot be decoded, or has more than 8
        bits a channel.
    """
    header = read_header(path)
    points = _POINTS[2]
    edge = min(header.height, header.width)
    # JPEG decodes at an eighth of its size in a fraction of the time.
    reduction = next(each for each in _REDUCED if each == 1 or edge >= each * 2 * points)
    content = path.read_bytes()
    require_whole(path, content)
    how = _REDUCED[reduction] | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    except cv2.error as error:
        raise DataError(problem(path, f"cannot be decoded ({error.err}); replace it")) from None
    if grey is None:
        raise DataError(problem(path, "cannot be decoded; replace the file"))
    require_8_bits(path, grey)
    small = cv2.resize(grey, (points, points), interpolation=cv2.INTER_AREA).astype(np.float32)
    return None if small.std() < _FLATTEST_GREY_LEVELS else small


def volume_thumbnail(volume: NDArray[Any]) -> NDArray[np.float32] | None:
    """Return a volume averaged to (16, 16, 16); None where all its voxels are equal.

    Args:
        volume: (D, H, W), any real type; sixteen slices of it are read.
    """
    points = _POINTS[3]
    chosen = np.linspace(0, len(volume) - 1, points).round().astype(int)
    slices = [
        cv2.resize(
            np.nan_to_num(np.asarray(volume[depth], np.float32)),
            (points, points),
            interpolation=cv2.INTER_AREA,
        )
        for depth in chosen
    ]
    small = np.stack(slices).astype(np.float32, copy=False)
    return None if np.ptp(small) == 0 else small


def looks(thumbnail: NDArray[Any] | None) -> int | None:
    """Return the hash of a thumbnail; None where there is nothing to see."""
    return None if thumbnail is None else hash_of(thumbnail)


def hash_of(thumbnail: NDArray[Any]) -> int:
    """Return the 64 bits of an averaged image, (32, 32), or volume, (16, 16, 16)."""
    dimensions = thumbnail.ndim
    assert thumbnail.shape == (_POINTS[dimensions],) * dimensions, thumbnail.shape
    basis = _basis(_POINTS[dimensions], _FREQUENCIES[dimensions])
    amplitudes = thumbnail.astype(np.float64)
    for _ in range(dimensions):
        # Each pass transforms the first axis and puts it last.
        amplitudes = np.tensordot(amplitudes, basis, axes=([0], [1]))
    flat = amplitudes.reshape(-1)
    # The first is the mean brightness, which says nothing.
    bits = flat > np.median(flat[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return how alike two thumbnails are, whatever their brightness and contrast: 1 for equal."""
    return float(np.corrcoef(first.reshape(-1), second.reshape(-1))[0, 1])


@cache
def _basis(points: int, frequencies: int) -> NDArray[np.float64]:
    """Return (frequencies, points) of the cosine transform (DCT-II), without its scale."""
    places = 2 * np.arange(points) + 1
    angles = np.outer(np.arange(frequencies), places) * np.pi / (2 * points)
    return np.asarray(np.cos(angles), np.float64)
