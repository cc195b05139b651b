"""Points of one image in a file of its own: VOC and YOLO boxes, and images of dots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from runner.data.files import is_jpeg, problem, read_with_pillow
from runner.data.points.canvas import Points
from runner.data.points.from_boxes import Marked, fault_of
from runner.data.points.tables import read_text
from runner.errors import DataError, Problem

Size = tuple[int, int]


def read_voc(path: Path, size: Size) -> list[Marked]:
    """Return the centres of the boxes of a VOC file, with their names.

    Args:
        path: of the file.
        size: height and width of the image, which must be what the file says, if it does.
    Raises: DataError: it is no XML, of another size, or a box lacks an edge.
    """
    text = read_text(path)
    # Entities can be nested to fill any memory, and no VOC file has them.
    if "<!ENTITY" in text:
        raise DataError(problem(path, "declares entities, which a VOC file has not; remove them"))
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(problem(path, f"is no XML ({error}); replace or mend it")) from None
    stated = _numbers([root.findtext(f"size/{edge}", "") for edge in ("height", "width")])
    if stated and all(stated) and stated != list(size):
        message = (
            f"is of an image of {stated[1]:g}x{stated[0]:g} pixels, but its image has "
            f"{size[1]}x{size[0]}; give the one that belongs to the other"
        )
        raise DataError(problem(path, message))
    found: list[Marked] = []
    for number, each in enumerate(root.iter("object"), start=1):
        edges = [each.findtext(f"bndbox/{edge}", "") for edge in ("xmin", "ymin", "xmax", "ymax")]
        numbers = _numbers(edges)
        if numbers is None:
            message = f"a box's edges are {', '.join(edges)}; write four finite numbers"
            raise DataError(problem(path, message))
        x_min, y_min, x_max, y_max = numbers
        # Pixels are counted from 1: a box with two equal corners has one.
        fault = fault_of(f"{path}: object {number}", (x_min - 1, y_min - 1, x_max, y_max))
        middle = (x_min + x_max) / 2, (y_min + y_max) / 2
        found.append(Marked(each.findtext("name", ""), *middle, fault))
    return found


def read_yolo(path: Path, size: Size) -> list[Marked]:
    """Return the centres of the boxes of a YOLO file, a line ``class x y width height`` each.

    Args:
        path: of the file.
        size: height and width of the image, of which the lines give shares.
    Raises: DataError: a line is none; it is named.
    """
    found: list[Marked] = []
    problems: list[Problem] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        category, *rest = line.split()
        shares = _numbers(rest)
        if shares is None or len(shares) != 4:
            message = f"{line.strip()!r} is no box; write: class x y width height"
            problems.append(Problem(f"{path}:{number}", "", message))
        else:
            x, y = shares[0] * size[1], shares[1] * size[0]
            right, down = shares[2] * size[1] / 2, shares[3] * size[0] / 2
            corners = x - right, y - down, x + right, y + down
            found.append(Marked(category, x, y, fault_of(f"{path}:{number}", corners)))
    if problems:
        raise DataError(problems)
    return found


def read_dots(path: Path, size: Size) -> list[Marked]:
    """Return the middle of each dot: connected pixels that are not black.

    Args:
        path: of an image, as large as the one whose objects it dots.
        size: height and width of that image.
    Raises: DataError: it is no image, of another size, or a JPEG: compression leaves specks around
        each dot, and no threshold parts them from dots of a pixel, which it makes faint.
    """
    if is_jpeg(path):
        message = (
            "is a JPEG, whose compression leaves specks around each dot that would be counted; "
            "save the dots as PNG where they are drawn, or cut this one at half of the brightness "
            "and save that as PNG"
        )
        raise DataError(problem(path, message))
    dots = read_with_pillow(path)
    if dots.shape[:2] != size:
        height, width = dots.shape[:2]
        message = f"is {width}x{height} pixels, its image {size[1]}x{size[0]}; they must agree"
        raise DataError(problem(path, message))
    # A fourth channel is how opaque a pixel is, which says nothing of dots.
    is_dot = (dots[..., :3] != 0).any(-1) if dots.ndim == 3 else dots != 0
    _, _, _, middles = cv2.connectedComponentsWithStats(is_dot.astype(np.uint8), connectivity=8)
    # The first component is the ground; a pixel's middle is half a pixel behind its index.
    return [Marked("", float(x) + 0.5, float(y) + 0.5) for x, y in middles[1:]]


def points_of(marked: Sequence[Marked]) -> Points:
    """Return the points without their categories."""
    return np.array([(each.x, each.y) for each in marked], np.float64).reshape(-1, 2)


def _numbers(texts: list[str]) -> list[float] | None:
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


READERS: Mapping[str, Callable[[Path, Size], list[Marked]]] = {
    "voc": read_voc,
    "yolo": read_yolo,
    "dots": read_dots,
}
