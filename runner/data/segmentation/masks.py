"""Mask files, decoded to class indices by exact id or exact colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.data.arrays import blocks
from runner.data.files import Header, problem, read_header, read_with_pillow
from runner.data.segmentation.classes import ClassMap
from runner.data.unmapped import Words, unmapped_problems
from runner.errors import DataError

_WORDS = Words(
    unit="pixels",
    files="masks",
    wrong="is not mapped",
    cure="add it to data.params.mapping (target_id 255 ignores it), or to data.params.classes "
    "written as {name: [ids or colours], ignore: [...]}",
    others="unmapped values",
    doubt="is that a lossy file?",
)

_GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L")
_INDEX_MODES = (*_GREY_MODES, "P")


def read_mask(path: Path, classes: ClassMap) -> NDArray[np.uint8]:
    """Return a mask file as (H, W) uint8 class indices; 255 is ignored.

    Raises: DataError: it cannot be read, or holds ids or colours that the mapping does not name.
    """
    indices, unmapped = _decoded(path, classes)
    if unmapped:
        raise DataError(unmapped_problems(path, unmapped, classes.describe, _WORDS))
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
    for rows in blocks(len(values)):
        packed = _packed(values[rows])
        places, is_mapped = _places(packed, classes)
        indices[rows] = np.asarray(classes.targets, np.uint8)[places]
        if not is_mapped.all():
            for value, count in zip(
                *np.unique(packed[~is_mapped], return_counts=True), strict=True
            ):
                unmapped[int(value)] = unmapped.get(int(value), 0) + int(count)
    return indices.reshape(colours.shape[:2]), unmapped


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
