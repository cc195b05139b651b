"""Numbered discs that show which objects have been pointed at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_NUMBERED_PX = 6
"""Radius of the smallest disc that is numbered: on a smaller one no digit could be read."""


@dataclass(frozen=True)
class Mark:
    """How an object is marked.

    Attributes:
        radius_px: of the disc, on the canvas.
        color: red, green, blue of the disc; its number is black or white, whichever differs more.
    """

    radius_px: int
    color: tuple[int, int, int]

    def draw(self, canvas: NDArray[np.uint8], x: float, y: float, number: int) -> None:
        """Put a disc onto a canvas, in place; what lies outside is cut off.

        Args:
            canvas: (H, W, 3), red first.
            x, y: the disc's middle, in pixels of the canvas.
            number: of the object, counted from 1.
        """
        disc, is_inside = _disc(self, number)
        top, left = int(y) - self.radius_px, int(x) - self.radius_px
        height, width = canvas.shape[:2]
        rows = slice(max(0, -top), min(len(disc), height - top))
        columns = slice(max(0, -left), min(len(disc), width - left))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        under = canvas[
            top + rows.start : top + rows.stop, left + columns.start : left + columns.stop
        ]
        np.copyto(under, disc[rows, columns], where=is_inside[rows, columns, None])


# Drawing text takes a hundred times as long as copying it; an image has few hundred numbers.
@lru_cache(maxsize=4096)
def _disc(mark: Mark, number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a disc's picture, (2 r + 1, 2 r + 1, 3), and which of its pixels belong to it."""
    radius = mark.radius_px
    edge = 2 * radius + 1
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    is_inside = rows**2 + columns**2 <= (radius + 0.3) ** 2
    picture = np.empty((edge, edge, 3), np.uint8)
    picture[:] = mark.color
    if radius >= LEAST_NUMBERED_PX:
        ink = (0, 0, 0) if np.dot(mark.color, (0.299, 0.587, 0.114)) > 127 else (255, 255, 255)
        text = str(number)
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
        scale = 1.5 * radius / max(width, height)
        at = round(radius - scale * width / 2), round(radius + scale * height / 2)
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    return picture, is_inside
