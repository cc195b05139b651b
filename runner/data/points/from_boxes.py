"""Boxes of which the middles are pointed at, and those that hardly are boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.data.box_faults import Fault, is_degenerate, written


@dataclass(frozen=True)
class Marked:
    """An object of an image.

    Attributes:
        category: as its file names it; dots have none.
        x, y: pixels of the image.
        fault: what is wrong with the box of which it is the middle.
    """

    category: str
    x: float
    y: float
    fault: Fault | None = None


def fault_of(place: str, corners: Sequence[float]) -> Fault | None:
    """Return what is wrong with a box whose middle is pointed at: most often a stray click.

    Args:
        place: of the box: file, and line or number in it.
        corners: x1, y1, x2, y2, pixels.
    """
    if not is_degenerate(corners):
        return None
    message = f"the box {written(corners)} is a pixel or less wide or high"
    return Fault("degenerate", place, message, "its middle counts as an object")
