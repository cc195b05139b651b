"""Where the axes of a NIfTI volume point in the patient, and whether two volumes agree in that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.orientations import aff2axcodes, io_orientation
from numpy.typing import NDArray

_EDGES = 3
"""Of a volume; its axes are as many vectors of as many numbers."""


def axes_of(image: Any) -> tuple[float, ...]:
    """Return the axes of a NIfTI image as ``VolumeHeader`` has them; empty where it says nothing.

    Without sform and qform nibabel makes an orientation up, which says nothing of the voxels.
    """
    header = image.header
    if not (int(header["sform_code"]) or int(header["qform_code"])):
        return ()
    steps = np.asarray(image.affine, np.float64)[:_EDGES, :_EDGES]
    lengths = np.linalg.norm(steps, axis=0)
    if not np.isfinite(steps).all() or not lengths.all() or np.linalg.matrix_rank(steps) < _EDGES:
        return ()
    return tuple((steps / lengths).ravel().tolist())


def codes(axes: Sequence[float]) -> str:
    """Return the axes as letters, such as ``RAS``: right, front (anterior), top (superior)."""
    return "".join(map(str, aff2axcodes(_affine(axes))))


def point_apart(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether the axes of two volumes differ in their signs or their order.

    A tilted volume may be near the border of two orientations: where the axes of both point almost
    the same way, other letters are a matter of rounding. False where one says nothing.
    """
    if not first or not second or codes(first) == codes(second):
        return False
    mine, theirs = _affine(first), _affine(second)
    between = io_orientation(np.linalg.inv(mine) @ theirs)
    return not np.array_equal(between, io_orientation(np.eye(_EDGES + 1)))


def _affine(axes: Sequence[float]) -> NDArray[np.float64]:
    affine = np.eye(_EDGES + 1)
    affine[:_EDGES, :_EDGES] = np.reshape(axes, (_EDGES, _EDGES))
    return affine
