"""Pictures of a detection: true boxes beside predicted ones."""

import numpy as np

from runner.tasks.segmentation_panels import palette


def panel(image: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the image with its true boxes | the image with the predicted ones.

    Args:
        image: (C, H, W) uint8; the first three channels are shown, the first alone of two.
        true: (N, 5) corners in pixels and class.
        predicted: (M, 5) likewise, the most important first.
    Returns: (H, 2 W, 3) uint8.
    """
    shown = image[:3] if len(image) >= 3 else image[:1].repeat(3, 0)
    plain = np.ascontiguousarray(shown.transpose(1, 2, 0))
    return np.concatenate([outlined(plain, true), outlined(plain, predicted)], axis=1)


def outlined(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return a copy of (H, W, 3) with the outline of each box in its class's colour.

    Of boxes that cross, the one that stands first is drawn over the others.
    """
    drawn = image.copy()
    height, width = image.shape[:2]
    thickness = max(1, round(max(height, width) / 320))
    # Class 0 is black to a mask; to an outline it takes the next colour.
    colours = palette()[1:]
    for x1, y1, x2, y2, kind in boxes[::-1]:
        left, right = sorted(int(v) for v in np.clip([x1, x2], 0, width - 1).round())
        top, bottom = sorted(int(v) for v in np.clip([y1, y2], 0, height - 1).round())
        colour = colours[int(kind) % 250]
        inner = slice(top, bottom + 1), slice(left, right + 1)
        drawn[inner][:thickness] = colour
        drawn[inner][-thickness:] = colour
        drawn[inner][:, :thickness] = colour
        drawn[inner][:, -thickness:] = colour
    return drawn
