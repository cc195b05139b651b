"""Which image a list or an annotation means by what it calls it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Meant:
    """What a written name can stand for.

    Attributes:
        images: their paths from the root; most often one.
        before: what the written path has before an image's path from the root, such as the folder
            that the root lies in; empty where it has nothing.
    """

    images: tuple[str, ...] = ()
    before: str = ""


class ImageNames:
    """Finds images by their path from the root, by any end of it, or by a longer path."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        """Take the images' paths from the root."""
        self._root = root
        self._whole: dict[str, dict[str, None]] = defaultdict(dict)
        self._ends: dict[str, dict[str, None]] = defaultdict(dict)
        for name in names:
            self._whole[name][name] = None
            self._whole[str(PurePosixPath(name).with_suffix(""))][name] = None
            for _, end in _ends(name):
                self._ends[end][name] = None
                self._ends[str(PurePosixPath(end).with_suffix(""))][name] = None

    def meant_by(self, written: str) -> Meant:
        """Return the images that a written path can stand for; its suffix may be missing.

        An image's whole path from the root goes before an end of another's, and both before a
        path that is longer than an image's own, unless that is another file below the root.
        """
        path = str(PurePosixPath(written.replace("\\", "/")))
        if path in self._whole:
            # Of a path with its suffix the one of that name, of a.b not also a.b.png.
            return Meant((path,) if path in self._whole[path] else tuple(self._whole[path]))
        if path in self._ends:
            return Meant(tuple(self._ends[path]))
        if not PurePosixPath(path).is_absolute() and isfile(self._root / path):
            return Meant()
        for before, end in _ends(path):
            if end in self._whole:
                return Meant(tuple(self._whole[end]), before)
        return Meant()


class Spellings:
    """Remembers by which longer paths images were meant, of which each may have one alone."""

    def __init__(self) -> None:
        """Know of none."""
        self._known: dict[str, tuple[str, str]] = {}

    def other(self, written: str, meant: Meant) -> str:
        """Return another longer path that stands for the same image; empty where none does."""
        if not meant.before:
            return ""
        before, first = self._known.setdefault(meant.images[0], (meant.before, written))
        return "" if before == meant.before else first


def both(first: str, second: str, meant: Meant) -> str:
    """Return the message on two longer paths of one image."""
    return (
        f"{first!r} and {second!r} would both be {meant.images[0]}; write paths from "
        "data.params.root, or set it to the folder that they start from"
    )


def _ends(path: str) -> Iterator[tuple[str, str]]:
    """Yield a path cut in two at each folder, the longest end first."""
    parts = PurePosixPath(path).parts
    for first in range(1, len(parts)):
        yield str(PurePosixPath(*parts[:first])), "/".join(parts[first:])
