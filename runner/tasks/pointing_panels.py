"""Pictures of a pointing step: where the next object is, and where it was said to be."""

import cv2
import numpy as np

GREEN, RED, YELLOW = (0, 200, 0), (230, 30, 30), (255, 220, 0)

LEAST_EDGE_PX = 256
"""Shorter edge of a picture; smaller images are enlarged, for captions to be read."""

CAPTION_PX = 34


def panel(
    image: np.ndarray,
    point: np.ndarray,
    probability: float,
    target: np.ndarray,
    is_done: float,
    source_px: np.ndarray,
) -> np.ndarray:
    """Return the image with truth green, prediction red, the error yellow, captions below.

    Args:
        image: (3, H, W) uint8, with its marks.
        point: (2,) predicted x and y, -1 and 1 being the image's edges.
        probability: predicted, of nothing being left.
        target: (2,) true x and y.
        is_done: 1 where nothing is left; no truth and no error are drawn then.
        source_px: (2,) pixels of the source image for a unit of x and y.
    Returns: (H', W', 3) uint8.
    """
    times = -(-LEAST_EDGE_PX // min(image.shape[1:]))
    picture = image.transpose(1, 2, 0).repeat(times, 0).repeat(times, 1).copy()
    height, width = picture.shape[:2]

    def place(unit: np.ndarray) -> tuple[int, int]:
        # A prediction may lie outside of the image; one far away would not fit into an integer.
        x, y = np.clip(np.nan_to_num((unit + 1) / 2), -1, 2) * (width, height)
        return int(x), int(y)

    radius = max(4, min(height, width) // 40)
    caption = np.zeros((CAPTION_PX, width, 3), np.uint8)
    if not is_done:
        cv2.line(picture, place(point), place(target), YELLOW, 1, cv2.LINE_AA)
        cv2.circle(picture, place(target), radius, GREEN, 2, cv2.LINE_AA)
        error_px = float(np.hypot(*((point - target) * source_px)))
        _write(caption, f"err={error_px:.0f}px", (4, 13), YELLOW)
    cv2.circle(picture, place(point), radius, RED, 2, cv2.LINE_AA)
    _write(caption, f"pred_done={probability:.2f}", (4, 29), RED)
    _write(caption, f"gt_done={is_done:.0f}", (width // 2, 29), GREEN)
    return np.concatenate([picture, caption])


def _write(
    picture: np.ndarray, text: str, at: tuple[int, int], color: tuple[int, int, int]
) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, color, 1, cv2.LINE_AA)
