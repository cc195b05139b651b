"""Images of any size on one canvas, and coordinates that find the way back exactly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2): x and y in pixels, continuous: pixel i reaches from i to i + 1."""


@dataclass(frozen=True)
class Letterbox:
    """An image scaled to fit, in the middle of a canvas of another shape.

    Attributes:
        source: height and width of the image, in pixels.
        canvas: height and width of the canvas, in pixels.
    """

    source: tuple[int, int]
    canvas: tuple[int, int]

    @property
    def inner(self) -> tuple[int, int]:
        """Height and width of the image on the canvas."""
        scale = min(to / of for to, of in zip(self.canvas, self.source, strict=True))
        height, width = (
            min(to, max(1, round(of * scale)))
            for to, of in zip(self.canvas, self.source, strict=True)
        )
        return height, width

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the image's first pixel on the canvas."""
        return (self.canvas[0] - self.inner[0]) // 2, (self.canvas[1] - self.inner[1]) // 2

    @property
    def scale(self) -> Points:
        """Pixels of the canvas for one of the image, along x and y: rounding makes them differ."""
        return np.array([to / of for to, of in zip(self.inner, self.source, strict=True)][::-1])

    @property
    def source_px(self) -> Points:
        """Pixels of the image, along x and y, that one unit of the target stands for."""
        return np.array(self.canvas[::-1]) / 2 / self.scale

    def to_canvas(self, points: Points) -> Points:
        """Return points of the image in pixels of the canvas."""
        return np.asarray(points * self.scale + self.corner[::-1])

    def to_unit(self, points: Points) -> Points:
        """Return points of the image in units of the target: the canvas is from -1 to 1."""
        return np.asarray(2 * self.to_canvas(points) / self.canvas[::-1] - 1)

    def to_source(self, unit: Points) -> Points:
        """Return points in units of the target in pixels of the image."""
        on_canvas = (unit + 1) * self.canvas[::-1] / 2
        return np.asarray((on_canvas - self.corner[::-1]) / self.scale)

    def scaled(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the image (H, W, 3) as large as it is on the canvas, without a border."""
        height, width = self.inner
        if (height, width) == image.shape[:2]:
            return image
        # Averaged where it shrinks, else details alias.
        shrinks = height <= image.shape[0] and width <= image.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)

    def placed(self, scaled: NDArray[np.uint8], fill: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a canvas of its own with an image from ``scaled`` on a ground of one colour."""
        canvas = np.empty((*self.canvas, 3), np.uint8)
        canvas[:] = fill
        (top, left), (height, width) = self.corner, self.inner
        canvas[top : top + height, left : left + width] = scaled
        return canvas
