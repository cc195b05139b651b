"""What a volume file says of itself before a voxel is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.data.files import problem
from runner.errors import DataError

MAX_CONVERTED_BYTES = 16 << 30
"""Of the largest volume that is unpacked: a header may claim any size, and fill the disk."""

# What torch takes and a loader may send as it is; all else is sent as float32.
_TRAVELLING = ("uint8", "uint16", "int16", "float16", "float32")
_WIDENED = {"bool": "uint8", "int8": "int16"}


@dataclass(frozen=True)
class VolumeHeader:
    """A volume file's header.

    Attributes:
        shape: depth, height, width.
        dtype: of the voxels as the file stores them.
        offset: of the first voxel, in bytes, where all lie in the file in order and unpacked, so
            that it can be memory-mapped; None where the file must be converted.
        axes: of a NIfTI file that says so, where its axes x, y and z point in the patient, each a
            vector of length 1 to the right, the front and the top; else empty.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None
    axes: tuple[float, ...] = ()

    @property
    def travels_as(self) -> np.dtype[Any]:
        """The type of the image in a sample."""
        name = self.dtype.newbyteorder("=").name
        name = _WIDENED.get(name, name)
        return np.dtype(name if name in _TRAVELLING else "float32")


def checked(path: Path, header: VolumeHeader) -> VolumeHeader:
    """Return a header that can be believed.

    Raises: DataError: it is none of a volume of real numbers, or claims too much.
    """
    whole = math.prod(map(int, header.shape))
    claimed_bytes = whole * header.dtype.itemsize
    if header.offset is None and claimed_bytes > MAX_CONVERTED_BYTES:
        message = (
            f"claims {claimed_bytes / 2**30:.1f} GiB of voxels (shape {header.shape}), more than "
            f"the {MAX_CONVERTED_BYTES >> 30} GiB that are unpacked; cut it into smaller volumes, "
            "or store it uncompressed (npy), which is mapped whatever its size"
        )
        raise DataError(problem(path, message))
    if header.offset is not None and header.offset + claimed_bytes > path.stat().st_size:
        message = f"is truncated: its header claims {claimed_bytes:,} bytes of voxels; replace it"
        raise DataError(problem(path, message))
    if len(header.shape) != 3:
        extent = "x".join(map(str, header.shape))
        message = f"has {len(header.shape)} dimensions ({extent}), not 3; write it as a volume"
        raise DataError(problem(path, message))
    if not whole:
        raise DataError(problem(path, f"has no voxels (shape {header.shape}); remove it"))
    if header.dtype.kind not in "buif":
        message = f"holds {header.dtype.name}, which is no real number; convert it"
        raise DataError(problem(path, message))
    return header
