"""The order in which objects are pointed at."""

from __future__ import annotations

from typing import Literal

import numpy as np

from runner.data.points.canvas import Points

Order = Literal["rows", "top_to_bottom", "as_given"]


def ordered(points: Points, order: Order, row_px: float) -> Points:
    """Return the points in order; those that the order does not part stay as they are given.

    Args:
        points: of an image, in its pixels.
        order: rows: by row, then from left to right; top_to_bottom: by y, then by x.
        row_px: height of a row; of rows alone.
    """
    x, y = points.T
    if order == "rows":
        return points[np.lexsort((x, y // row_px))]
    if order == "top_to_bottom":
        return points[np.lexsort((x, y))]
    return points
