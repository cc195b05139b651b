"""Decoded arrays kept as memory-mapped files, under a key that holds all they depend on."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.errors import MachineError, Problem

VERSION = 1
"""Of what is written; raised when the same key would hold other content."""

LARGEST_SHARE = 0.5
"""Of the free disk space that the cache may take."""


@dataclass(frozen=True)
class Stamp:
    """What tells one state of a file from another.

    Attributes:
        path: absolute.
        size_bytes: of the file.
        modified_ns: when it was last written.
    """

    path: str
    size_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return the stamp of a file that exists."""
        status = path.stat()
        return cls(str(path.absolute()), status.st_size, status.st_mtime_ns)


def key_of(**ingredients: object) -> str:
    """Return the key of an array; every ingredient must show all it means in its ``repr``."""
    text = repr((VERSION, sorted(ingredients.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class ArrayCache:
    """A folder of arrays that several processes fill and read at once."""

    folder: Path

    def __contains__(self, key: str) -> bool:
        return self._path(key).exists()

    def load(self, key: str, build: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return an array, memory-mapped and read-only; built when it is missing or damaged.

        Raises: MachineError: it cannot be written.
        """
        path = self._path(key)
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except (FileNotFoundError, ValueError, EOFError):
            # Not there yet, or cut short by a full disk or a crash: the source is still there.
            self._write(path, build())
        return np.lib.format.open_memmap(path, mode="r")

    def require_room(self, missing_bytes: int) -> None:
        """Raise a MachineError where filling the cache would take too much of the disk."""
        existing = next(each for each in (self.folder, *self.folder.parents) if each.exists())
        free_bytes = shutil.disk_usage(existing).free
        if missing_bytes > LARGEST_SHARE * free_bytes:
            message = (
                f"the decoded images would take {missing_bytes / 1e9:.1f} GB of the "
                f"{free_bytes / 1e9:.1f} GB that are free; set cache: false, "
                "a resize, or another cache folder"
            )
            raise MachineError(Problem(str(self.folder), "data.params.cache", message))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npy"

    def _write(self, path: Path, array: NDArray[Any]) -> None:
        """Write beside and rename: a reader sees all of an array or nothing."""
        beside: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
            with os.fdopen(handle, "wb") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
            os.replace(beside, path)
        except OSError as error:
            if beside is not None:
                Path(beside).unlink(missing_ok=True)
            message = (
                f"the cache cannot be written ({error}); set cache: false or another cache folder"
            )
            raise MachineError(Problem(str(self.folder), "data.params.cache", message)) from error
