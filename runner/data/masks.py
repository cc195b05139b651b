"""Mask files, decoded to class indices by exact id or exact colour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.data.classes import ClassMap
from runner.data.files import Header, problem, read_header, read_with_pillow
from runner.errors import DataError, Problem

BLOCK_PIXELS = 1 << 20
"""Pixels handled at once, which bounds the memory that a large mask takes on its way."""

REPORTED_VALUES = 20
"""Unmapped values of one mask that are named; a mask saved as JPEG has thousands."""

_CURE = (
    "add it to data.params.mapping (target_id 255 ignores it), or to data.params.classes written "
    "as {name: [ids or colours], ignore: [...]}"
)

_GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L")
_INDEX_MODES = (*_GREY_MODES, "P")


@dataclass(frozen=True)
class Unmapped(Problem):
    """A value of a mask that the mapping does not name; most often many masks hold it.

    Attributes:
        value: in words; empty for all others together.
        pixels: that carry it.
    """

    value: str
    pixels: int


def read_mask(path: Path, classes: ClassMap) -> NDArray[np.uint8]:
    """Return a mask file as (H, W) uint8 class indices; 255 is ignored.

    Raises: DataError: it cannot be read, or holds ids or colours that the mapping does not name.
    """
    indices, unmapped = _decoded(path, classes)
    if unmapped:
        raise DataError(_unmapped_problems(path, classes, unmapped))
    return indices


def unmapped_pixels(path: Path, classes: ClassMap) -> dict[str, int]:
    """Return the pixels of each id or colour of a mask that the mapping does not name.

    Raises: DataError: it cannot be read.
    """
    _, unmapped = _decoded(path, classes)
    return {classes.describe(value): count for value, count in unmapped.items()}


def require_ids(path: Path, header: Header) -> None:
    """Raise a DataError where a mask is stored as colours and ids are expected.

    Args:
        path: of the mask.
        header: of that file.
    """
    if header.mode not in _INDEX_MODES:
        message = (
            f"has colours (mode {header.mode}) where ids are expected; save it with ids, or, where "
            "all masks have colours, write mask_format: rgb and a mapping with the columns r, g, b"
        )
        raise DataError(problem(path, message))


def require_colours(path: Path, header: Header, classes: ClassMap) -> None:
    """Raise a DataError where a mask is stored as ids and colours are expected.

    What encoders make of colours is let be: greys where black and white are mapped, and a palette
    with mapped colours.

    Args:
        path: of the mask.
        header: of that file.
        classes: the colours that are mapped.
    """
    kind = ""
    if header.mode in (*_GREY_MODES, "LA") and sum(map(_is_grey, classes.sources)) < 2:
        kind = f"mode {header.mode}"
    # Black is in every palette.
    elif header.palette and not {*header.palette} & {*classes.sources} - {0}:
        kind = "a palette without any of the mapped colours"
    if kind:
        message = (
            f"has ids ({kind}) where colours are expected; save it with the colours of the "
            "mapping, or, where all masks have ids, write mask_format: index and map source_id"
        )
        raise DataError(problem(path, message))


def _is_grey(colour: int) -> bool:
    return colour >> 16 == colour >> 8 & 255 == colour & 255


def _decoded(path: Path, classes: ClassMap) -> tuple[NDArray[np.uint8], dict[int, int]]:
    """Return (H, W) class indices, and the pixels of each source that is not mapped."""
    header = read_header(path)
    if classes.format == "rgb":
        require_colours(path, header, classes)
        colours = read_with_pillow(path, "RGB")
        values = colours.reshape(-1, 3)
    else:
        require_ids(path, header)
        colours = read_with_pillow(path)
        values = colours.reshape(-1, 1)
    indices = np.empty(len(values), np.uint8)
    unmapped: dict[int, int] = {}
    for rows in _blocks(len(values)):
        packed = _packed(values[rows])
        places, is_mapped = _places(packed, classes)
        indices[rows] = np.asarray(classes.targets, np.uint8)[places]
        if not is_mapped.all():
            for value, count in zip(
                *np.unique(packed[~is_mapped], return_counts=True), strict=True
            ):
                unmapped[int(value)] = unmapped.get(int(value), 0) + int(count)
    return indices.reshape(colours.shape[:2]), unmapped


def count_classes(mask: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Return the pixels of each class in a mask of any shape; ignored pixels are not counted."""
    flat = mask.reshape(-1)
    counts = np.zeros(256, np.int64)
    for rows in _blocks(len(flat)):
        counts += np.bincount(flat[rows], minlength=256)
    return counts[:classes]


def _blocks(length: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK_PIXELS) for start in range(0, length, BLOCK_PIXELS))


def _packed(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return (N,) integers of (N, 1) ids or (N, 3) colours."""
    packed = np.zeros(len(values), np.int64)
    for channel in range(values.shape[1]):
        packed = packed << 8 | values[:, channel]
    return packed


def _places(
    packed: NDArray[np.int64], classes: ClassMap
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where in the map each value stands, and whether it stands there at all."""
    sources = np.asarray(classes.sources, np.int64)
    places = np.searchsorted(sources, packed).clip(max=len(sources) - 1)
    return places, sources[places] == packed


def _unmapped_problems(path: Path, classes: ClassMap, unmapped: dict[int, int]) -> list[Problem]:
    largest = sorted(unmapped, key=lambda value: (-unmapped[value], value))
    problems: list[Problem] = []
    for value in largest[:REPORTED_VALUES]:
        called, pixels = classes.describe(value), unmapped[value]
        message = f"{called} on {pixels:,} pixels is not mapped; {_CURE}"
        problems.append(Unmapped(str(path), "", message, called, pixels))
    if len(largest) > REPORTED_VALUES:
        rest = largest[REPORTED_VALUES:]
        pixels = sum(unmapped[value] for value in rest)
        message = f"{len(rest):,} more unmapped values on {pixels:,} pixels; is it a lossy file?"
        problems.append(Unmapped(str(path), "", message, "", pixels))
    return problems


def told_once(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems with each unmapped value once: its pixels, its masks and the first of them.

    Args:
        problems: of many masks, those of unmapped values as ``read_mask`` raises them.
    """
    of_value: dict[str, list[Unmapped]] = defaultdict(list)
    others = []
    for each in dict.fromkeys(problems):
        if isinstance(each, Unmapped):
            of_value[each.value].append(each)
        else:
            others.append(each)
    rest = of_value.pop("", [])
    pixels = {value: sum(one.pixels for one in found) for value, found in of_value.items()}
    largest = sorted(of_value, key=lambda value: -pixels[value])
    rest += [one for value in largest[REPORTED_VALUES:] for one in of_value[value]]
    for value in largest[:REPORTED_VALUES]:
        found = of_value[value]
        message = (
            f"{value} is not mapped: {pixels[value]:,} pixels in {len(found):,} masks, of which "
            f"this is the first; {_CURE}"
        )
        others.append(replace(found[0], message=message) if len(found) > 1 else found[0])
    if len(rest) > 1:
        masks = len({each.place for each in rest})
        message = (
            f"more unmapped values on {sum(each.pixels for each in rest):,} pixels in {masks:,} "
            "masks, of which this is the first; are they lossy files?"
        )
        rest = [replace(rest[0], message=message)]
    return [*others, *rest]
