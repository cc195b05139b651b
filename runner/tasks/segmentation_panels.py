"""Pictures of a segmentation: image, truth and prediction side by side."""

import colorsys

import numpy as np

from runner.contracts import IGNORE

IGNORED_COLOUR = (128, 128, 128)

_FIRST_COLOURS = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115),
    (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
"""Told apart by colour-blind readers: Okabe and Ito 2008."""


def palette() -> np.ndarray:
    """Return the colour of each value of a mask, (256, 3) uint8, the same for all data."""
    colours = np.zeros((256, 3), np.uint8)
    for index in range(256):
        # Steps of the golden section never come close to a hue that is already taken.
        hue = index * 0.618034 % 1
        drawn = [round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.65, 0.95)]
        colours[index] = _FIRST_COLOURS[index] if index < len(_FIRST_COLOURS) else drawn
    colours[IGNORE] = IGNORED_COLOUR
    return colours


def panel(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return image | truth | prediction.

    Args:
        image: (C, H, W) uint8; the first three channels are shown, the first alone of two.
        truth: (H, W) class indices; 255 is drawn grey.
        predicted: (H, W) class indices.
    Returns: (H, 3 W, 3) uint8.
    """
    shown = image[:3] if len(image) >= 3 else image[:1].repeat(3, 0)
    colours = palette()
    return np.concatenate([shown.transpose(1, 2, 0), colours[truth], colours[predicted]], axis=1)
