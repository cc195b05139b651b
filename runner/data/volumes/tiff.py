"""TIFF volumes, read strictly, page by page."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from runner.data.files import problem
from runner.data.volumes.header import VolumeHeader, checked
from runner.errors import DataError

# tifffile and its decoders fail with these, depending on where a file is cut or changed.
_READ_ERRORS = (
    tifffile.TiffFileError, struct.error, ArithmeticError, AttributeError, LookupError, OSError,
    EOFError, RuntimeError, TypeError, ValueError,
)  # fmt: skip

_LOGGER = logging.getLogger("tifffile")


class _Complaints(logging.Handler):
    """Keeps what tifffile says of a file: of a page chain that breaks off it says no more."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of the thread that reads."""
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


def tiff_header(path: Path) -> VolumeHeader:
    """Return what a TIFF says of its volume; nothing is decoded.

    Raises: DataError: it is no volume, damaged, or claims more than may be converted.
    """
    with _opened(path) as file:
        series = file.series
        if not series:
            raise DataError(problem(path, "is truncated: it has no page; replace the file"))
        if len(series) != 1:
            shapes = ", ".join(str(each.shape) for each in series[:3])
            message = f"its pages differ in size ({shapes}); write one page for each slice"
            raise DataError(problem(path, message))
        [volume] = series
        dtype = volume.dtype
        if dtype is None:
            raise DataError(problem(path, "has no type of voxels; replace the file"))
        if "S" in volume.axes:
            message = f"has colours (shape {volume.shape}); write one grey value for each voxel"
            raise DataError(problem(path, message))
        header = VolumeHeader(tuple(volume.shape), dtype.newbyteorder(file.byteorder), None)
        offset = volume.dataoffset
    if offset is not None:
        header = VolumeHeader(header.shape, header.dtype, int(offset))
    return checked(path, header)


def tiff_slabs(path: Path) -> Iterator[NDArray[Any]]:
    """Yield a volume page by page, (slices, height, width).

    Raises: DataError: a page is truncated or damaged.
    """
    size_bytes = path.stat().st_size
    with _opened(path) as file:
        series = file.series[0]
        for number, page in enumerate(series.pages):
            if page is None:
                raise DataError(problem(path, f"has no page {number}; replace the file"))
            ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
            if max(ends, default=0) > size_bytes:
                message = f"is truncated in page {number}; replace the file"
                raise DataError(problem(path, message))
            slab = np.asarray(page.asarray(maxworkers=1))
            yield slab.reshape(-1, *series.shape[1:])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a TIFF; whatever the block stumbles over is the file's fault."""
    complaints = _Complaints()
    _LOGGER.addHandler(complaints)
    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except FileNotFoundError:
        raise DataError(
            problem(path, "does not exist; add it, or take what names it away")
        ) from None
    except _READ_ERRORS as error:
        said = "; ".join([str(error), *complaints.messages[:1]])
        message = f"is truncated or damaged ({said}); replace the file"
        raise DataError(problem(path, message)) from error
    finally:
        _LOGGER.removeHandler(complaints)
    if complaints.messages:
        message = f"is truncated or damaged ({complaints.messages[0]}); replace the file"
        raise DataError(problem(path, message))
