"""Volume files of every format behind three functions: its header, its slabs, its mapping."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from runner.data.files import problem
from runner.data.volumes.header import VolumeHeader, checked
from runner.data.volumes.orientation import axes_of
from runner.data.volumes.tiff import tiff_header, tiff_slabs
from runner.errors import DataError

_REST_BYTES = 1 << 20
"""Read at once of what stands behind the voxels of a packed file."""

_NIFTI_ERRORS = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error)


def volume_id(name: str) -> str:
    """Return a file's name without folders and without the suffix, ``.nii.gz`` as a whole."""
    file = PurePosixPath(name).name
    suffix = _suffix(file)
    return (
        file.removesuffix(file[len(file) - len(suffix) :]) if suffix else PurePosixPath(file).stem
    )


def read_volume_header(path: Path) -> VolumeHeader:
    """Return what a volume file says of itself.

    Raises: DataError: it is missing, in no known format, no volume, damaged or too large.
    """
    if not path.is_file():
        raise DataError(problem(path, "does not exist; add it, or take what names it away"))
    suffix = _suffix(path.name)
    if suffix is None:
        known = ", ".join(_FORMATS)
        raise DataError(
            problem(path, f"is in no format that volumes are read from ({known}); convert it")
        )
    return _FORMATS[suffix][0](path)


def read_slabs(path: Path) -> Iterator[NDArray[Any]]:
    """Yield a volume in parts of few slices, (slices, height, width), from the first on.

    Raises: DataError: it is truncated or damaged.
    """
    suffix = _suffix(path.name)
    assert suffix is not None, f"the header of {path} was read"
    return _FORMATS[suffix][1](path)


def mapped(path: Path, header: VolumeHeader) -> NDArray[Any]:
    """Return an uncompressed volume, memory-mapped and read-only.

    Raises: DataError: the file is gone, or shorter than it was.
    """
    assert header.offset is not None, f"{path} cannot be mapped"
    try:
        return np.memmap(path, header.dtype, "r", header.offset, header.shape)
    except (OSError, ValueError) as error:
        message = f"cannot be mapped any more ({error}); was it changed during the run?"
        raise DataError(problem(path, message)) from None


def _npy_header(path: Path) -> VolumeHeader:
    array = _npy(path)
    # Only C order lies in the file slice by slice.
    offset = int(array.offset) if array.flags.c_contiguous else None
    return checked(path, VolumeHeader(array.shape, array.dtype, offset))


def _npy_slabs(path: Path) -> Iterator[NDArray[Any]]:
    array = _npy(path)
    for depth in range(len(array)):
        yield np.array(array[depth : depth + 1])


def _npy(path: Path) -> np.memmap[Any, Any]:
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, EOFError, ValueError) as error:
        message = f"is truncated or no array ({error}); replace the file"
        raise DataError(problem(path, message)) from None


def _nifti_header(path: Path) -> VolumeHeader:
    """Return the header; NIfTI counts x, y, z, and x runs fastest: depth is its z."""
    header, slope, intercept = _nifti(path)
    if (slope, intercept) != (1.0, 0.0):
        header = replace(header, dtype=np.dtype("float32"))
    if path.name.lower().endswith(".gz") or (slope, intercept) != (1.0, 0.0):
        header = replace(header, offset=None)
    return checked(path, header)


def _nifti_slabs(path: Path) -> Iterator[NDArray[Any]]:
    header, slope, intercept = _nifti(path)
    assert header.offset is not None, "NIfTI says where its voxels begin"
    depth, height, width = header.shape
    slice_bytes = height * width * header.dtype.itemsize
    opener: Callable[..., Any] = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with cast(BinaryIO, opener(path, "rb")) as file:
            file.seek(header.offset)
            for number in range(depth):
                content = file.read(slice_bytes)
                if len(content) != slice_bytes:
                    raise EOFError(f"slice {number} of {depth} is not there")
                slab = np.frombuffer(content, header.dtype).reshape(1, height, width)
                if (slope, intercept) != (1.0, 0.0):
                    slab = (slab * slope + intercept).astype(np.float32)
                yield slab
            # The checksum stands behind all else: gzip compares it where it meets the end.
            while isinstance(file, gzip.GzipFile) and file.read(_REST_BYTES):
                pass
    except _NIFTI_ERRORS as error:
        raise DataError(_damaged(path, error)) from None


def _nifti(path: Path) -> tuple[VolumeHeader, float, float]:
    """Return shape, type and offset as stored, and slope and intercept of the true values."""
    try:
        image: Any = nibabel.load(path)
        proxy = image.dataobj
        shape, dtype, offset = tuple(map(int, proxy.shape)), proxy.dtype, int(proxy.offset)
        scaling = float(proxy.slope), float(proxy.inter)
        axes = axes_of(image)
    except (*_NIFTI_ERRORS, AttributeError) as error:
        raise DataError(_damaged(path, error)) from None
    # A series of one volume is a volume.
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return VolumeHeader(shape[::-1], dtype, offset, axes), *scaling


def _damaged(path: Path, error: Exception) -> Any:
    return problem(path, f"is truncated or damaged ({error}); replace the file")


_FORMATS: dict[
    str, tuple[Callable[[Path], VolumeHeader], Callable[[Path], Iterator[NDArray[Any]]]]
] = {
    ".tif": (tiff_header, tiff_slabs),
    ".tiff": (tiff_header, tiff_slabs),
    ".nii": (_nifti_header, _nifti_slabs),
    ".nii.gz": (_nifti_header, _nifti_slabs),
    ".npy": (_npy_header, _npy_slabs),
}


def _suffix(name: str) -> str | None:
    return next((each for each in _FORMATS if name.lower().endswith(each)), None)
