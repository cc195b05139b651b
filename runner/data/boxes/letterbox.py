"""Images brought to one size with their proportions kept, the rest filled evenly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Letterbox:
    """How an image of one size lies within another.

    Attributes:
        size: height and width of the result.
        inner: height and width that the image has in it.
        corner: its first row and column in it.
        original: height and width of the image as stored.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    corner: tuple[int, int]
    original: tuple[int, int]

    @classmethod
    def of(cls, original: tuple[int, int], size: tuple[int, int]) -> Letterbox:
        """Return the letterbox in which an image is as large as it can be, and in the middle."""
        ratio = min(size[0] / original[0], size[1] / original[1])
        height, width = (max(1, round(edge * ratio)) for edge in original)
        corner = (size[0] - height) // 2, (size[1] - width) // 2
        return cls(size, (height, width), corner, original)

    def image(self, image: NDArray[np.uint8], fill: int) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 of the new size.

        Args:
            image: (H, W, 3) uint8 as stored.
            fill: grey level around it.
        """
        height, width = self.inner
        # Averaged where it shrinks, else details alias.
        is_smaller = height <= self.original[0] and width <= self.original[1]
        how = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
        result = np.full((*self.size, image.shape[2]), fill, np.uint8)
        top, left = self.corner
        inner = result[top : top + height, left : left + width]
        inner[:] = cv2.resize(image, (width, height), interpolation=how)
        return result

    def boxes(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 4) corners of the image as stored as corners in the result."""
        return boxes * self._scale() + self._offset()

    def inverse(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 4) corners in the result as corners of the image as stored."""
        return (boxes - self._offset()) / self._scale()

    def _scale(self) -> NDArray[np.float64]:
        # Edges are rounded to whole pixels: the two axes differ by that, and so must the boxes.
        y, x = self.inner[0] / self.original[0], self.inner[1] / self.original[1]
        return np.asarray((x, y, x, y))

    def _offset(self) -> NDArray[np.float64]:
        return np.asarray((self.corner[1], self.corner[0]) * 2, np.float64)
