"""Sizes of images as an annotation file states them, held against the images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.data.files import problem
from runner.errors import Problem

Size = tuple[float, float]
"""Height and width, pixels."""


def coco_sizes(images: Sequence[Mapping[str, Any]]) -> dict[str, Size]:
    """Return the sizes of a COCO file's images by ``file_name``; none of an image without one."""
    found = {}
    for each in images:
        height, width = (_positive(each.get(edge)) for edge in ("height", "width"))
        if height and width:
            found[str(each["file_name"])] = height, width
    return found


def size_problems(
    path: Path, stated: Mapping[str, Size], stored: Mapping[str, Size]
) -> list[Problem]:
    """Return a problem where images have another size than a file of their boxes says.

    Args:
        path: of the file.
        stated: what it says, by the images' names.
        stored: sizes of the images that are used.
    """
    known = [name for name in stored if name in stated]
    wrong = [name for name in known if stated[name] != stored[name]]
    if not wrong:
        return []
    first = wrong[0]
    message = (
        f"{len(wrong):,} of {len(known):,} images have another size than it says, so that their "
        f"boxes are elsewhere, first {first}: {_written(stated[first])} here, "
        f"{_written(stored[first])} as stored; export it for the images as they are, or give "
        "those that it was made for (an EXIF rotation is not applied)"
    )
    return [problem(path, message)]


def _written(size: Size) -> str:
    height, width = size
    return f"{width:g}x{height:g}"


def _positive(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None
