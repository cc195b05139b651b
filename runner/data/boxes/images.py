"""Images with boxes, and what can be wrong with a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.data.box_faults import SMALLEST_PX, Fault, is_degenerate, written
from runner.data.cache import Stamp
from runner.data.orientation import UPRIGHT

OUTSIDE_PX = 1.0
"""How far a box may reach beyond its image unremarked: formats count pixels from 0 or from 1."""


@dataclass(frozen=True)
class Row:
    """A box as its file says it.

    Attributes:
        place: file, and line or number in it.
        corners: x1, y1, x2, y2, pixels of the image as stored.
        kind: index of its class.
    """

    place: str
    corners: tuple[float, float, float, float]
    kind: int


@dataclass(frozen=True)
class Picture:
    """An image and its boxes.

    Attributes:
        name: of the image, relative to the root.
        identity: what an image of the same content would be called in another split.
        image: the file.
        height, width: in pixels, as stored.
        boxes: (N, 5) float64: x1, y1, x2, y2 in pixels as stored, and the class's index.
        orientation: of the image, as EXIF numbers it; it is not applied.
    """

    name: str
    identity: str
    image: Stamp
    height: int
    width: int
    boxes: NDArray[np.float64]
    orientation: int = UPRIGHT


def mended(rows: Sequence[Row], height: int, width: int) -> tuple[NDArray[np.float64], list[Fault]]:
    """Return an image's boxes as they can be trained on, and what was wrong with the others.

    Args:
        rows: of one image.
        height: of the image, pixels.
        width: of the image, pixels.
    Returns: (N, 5) corners within the image and class; the faults in order of the rows.
    """
    kept: dict[tuple[float, ...], str] = {}
    faults: list[Fault] = []
    limits = np.asarray((width, height, width, height), np.float64)
    for row in rows:
        given = np.asarray(row.corners, np.float64)
        inside = given.clip(0, limits)
        text = written(row.corners)
        if is_degenerate(row.corners):
            message = f"the box {text} is a pixel or less wide or high"
            faults.append(Fault("degenerate", row.place, message, "it is left out"))
            continue
        if ((inside[2:] - inside[:2]) <= SMALLEST_PX).any():
            message = f"the box {text} lies outside its image, {width}x{height}"
            faults.append(Fault("outside", row.place, message, "it is left out"))
            continue
        if np.abs(given - inside).max() > OUTSIDE_PX:
            message = f"the box {text} reaches beyond its image, {width}x{height}"
            faults.append(Fault("outside", row.place, message, "it is cut off"))
        key = (*inside.tolist(), float(row.kind))
        if key in kept:
            message = f"the box {text} stands there twice, first at {kept[key]}"
            faults.append(Fault("duplicate", row.place, message, "one is left out"))
            continue
        kept[key] = row.place
    return np.asarray(list(kept), np.float64).reshape(-1, 5), faults
