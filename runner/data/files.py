"""Image files, read strictly: what is truncated, too large or no image is named."""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from runner.data.orientation import UPRIGHT
from runner.errors import DataError, Problem

MAX_PIXELS = 178_956_970
"""Pixels of the largest image that is decoded: where Pillow, too, suspects a decompression bomb."""

# A JPEG or PNG that ends so is whole; cv2 decodes one that does not without a word.
_END_MARKERS = (b"\xff\xd9", b"IEND\xaeB`\x82")

_COLOUR_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION

# Pillow's readers fail with these, depending on the format and on where the file is cut.
_READ_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)

# Warning filters belong to the process: threads that restore them in turns would lose them.
_FILTERS = threading.Lock()


@dataclass(frozen=True)
class Header:
    """What a file says of its image before anything is decoded.

    Attributes:
        height, width: in pixels, as stored: no EXIF orientation is applied, for masks have none.
        mode: Pillow's: ``L`` grey, ``P`` palette, ``RGB``, ``I;16`` ...
        palette: colours of a palette image as red·2^16 + green·2^8 + blue; empty where the header
            does not say.
        orientation: 1 to 8, as EXIF numbers how a viewer is to turn it; 1 is as stored.
    """

    height: int
    width: int
    mode: str
    palette: tuple[int, ...] = ()
    orientation: int = UPRIGHT


def problem(path: Path, message: str) -> Problem:
    """Return a problem of a data file."""
    return Problem(str(path), "", message)


@contextmanager
def collected(problems: list[Problem]) -> Iterator[None]:
    """Add what the block finds wrong with the data to a list, so that all is reported at once."""
    try:
        yield
    except DataError as error:
        problems.extend(error.problems)


def read_header(path: Path) -> Header:
    """Return size, mode and orientation of an image file.

    Raises: DataError: it is missing, no image, or larger than ``MAX_PIXELS``.
    """
    with _opened(path) as image:
        size = image.height, image.width
        return Header(*size, image.mode, _palette(image), _orientation(image))


def is_jpeg(path: Path) -> bool:
    """Whether an image file is a JPEG, whatever it is called.

    Raises: DataError: it is missing, or no image.
    """
    with _opened(path) as image:
        return image.format in ("JPEG", "MPO")


def _palette(image: Image.Image) -> tuple[int, ...]:
    """Return the colours of a palette, of which nothing need be decoded; empty where it must."""
    if image.mode != "P" or image.palette is None:
        return ()
    kind, colours = image.palette.getdata()
    if kind != "RGB":
        return ()
    return tuple(int.from_bytes(colours[at : at + 3]) for at in range(0, len(colours) - 2, 3))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 where the header has none, or none that can be read.

    A TIFF's is left out: OpenCV and Pillow both apply that one when they decode.
    """
    stored = image.info.get("exif")
    if not stored:
        return UPRIGHT
    exif = Image.Exif()
    try:
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif.load(stored)
            value = exif.get(ExifTags.Base.Orientation)
    except (*_READ_ERRORS, struct.error, LookupError, TypeError):
        return UPRIGHT
    return value if isinstance(value, int) and value in range(1, 9) else UPRIGHT


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8, red first.

    Raises: DataError: it is missing, truncated, too large, or has more than 8 bits a channel.
    """
    read_header(path)
    content = path.read_bytes()
    require_whole(path, content)
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), _COLOUR_AS_STORED)
    except cv2.error as error:
        raise DataError(
            problem(path, f"cannot be decoded ({error.err}); replace the file")
        ) from None
    if decoded is None:
        raise DataError(problem(path, "cannot be decoded; replace the file"))
    require_8_bits(path, decoded)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def require_8_bits(path: Path, decoded: NDArray[Any]) -> None:
    """Raise a DataError where an image has been decoded to more than 8 bits a channel.

    Args:
        path: of the file.
        decoded: in the depth of the file.
    """
    if decoded.dtype != np.uint8:
        message = f"is a {decoded.dtype} image; convert it to 8 bits a channel"
        raise DataError(problem(path, message))


def require_whole(path: Path, content: bytes) -> None:
    """Raise a DataError where an image file is cut short, which OpenCV would not tell.

    Args:
        path: of the file.
        content: of the file.
    """
    if not content.endswith(_END_MARKERS):
        read_with_pillow(path)


def read_with_pillow(path: Path, mode: str | None = None) -> NDArray[Any]:
    """Return an image file as Pillow decodes it: strictly, and palette indices stay indices.

    Args:
        path: of the file.
        mode: to convert to, such as ``RGB``; as stored where None.
    Raises: DataError: it is missing, truncated or too large.
    """
    with _opened(path) as image:
        try:
            return np.asarray(image if mode is None else image.convert(mode))
        except _READ_ERRORS as error:
            message = f"is truncated or damaged ({error}); replace the file"
            raise DataError(problem(path, message)) from None


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with _FILTERS, warnings.catch_warnings():
            # What Pillow warns of is either harmless (EXIF) or raised below.
            warnings.simplefilter("ignore")
            image = Image.open(path)
    except FileNotFoundError:
        raise DataError(
            problem(path, "does not exist; add it, or take what names it away")
        ) from None
    except Image.DecompressionBombError:
        raise DataError(_too_large(path)) from None
    except _READ_ERRORS as error:
        message = f"is not an image that can be read ({error}); replace or remove it"
        raise DataError(problem(path, message)) from None
    with image:
        if image.height * image.width > MAX_PIXELS:
            raise DataError(_too_large(path))
        yield image


def _too_large(path: Path) -> Problem:
    return problem(path, f"has more than {MAX_PIXELS:,} pixels; cut it into smaller images")
