"""Volumes unpacked once, slab by slab, into memory-mapped files."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.data.cache import LARGEST_SHARE, ArrayCache
from runner.errors import MachineError, Problem

Slabs = Callable[[], Iterable[NDArray[Any]]]


@dataclass(frozen=True)
class VolumeCache(ArrayCache):
    """An ArrayCache that is filled with arrays larger than memory, too."""

    def load_slabs(
        self, key: str, shape: tuple[int, ...], dtype: np.dtype[Any], slabs: Slabs
    ) -> NDArray[Any]:
        """Return a volume, memory-mapped and read-only; filled when it is missing or damaged.

        Args:
            key: of everything that the voxels depend on.
            shape: of the volume.
            dtype: of the voxels in the cache.
            slabs: yields the volume from its first slice on.
        Raises: MachineError: it cannot be written.
        """
        path = self._path(key)
        entry = _mapped(path, shape, dtype)
        if entry is None:
            with self._held(path):
                # Another process may have filled it while this one waited.
                entry = _mapped(path, shape, dtype)
                if entry is None:
                    self._fill(path, shape, dtype, slabs())
                    entry = np.lib.format.open_memmap(path, mode="r")
        return entry

    def require_room(self, missing_bytes: int) -> None:
        """Raise a MachineError where filling the cache would take too much of the disk."""
        existing = next(each for each in (self.folder, *self.folder.parents) if each.exists())
        free_bytes = shutil.disk_usage(existing).free
        if missing_bytes > LARGEST_SHARE * free_bytes:
            message = (
                f"the unpacked volumes would take {missing_bytes / 1e9:.1f} GB of the "
                f"{free_bytes / 1e9:.1f} GB that are free; name another cache folder in the "
                "machine profile, or store the volumes uncompressed"
            )
            raise MachineError(Problem(str(self.folder), "cache", message))

    @contextmanager
    def _held(self, path: Path) -> Iterator[None]:
        """Let one process fill an entry while the others wait for it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, path: Path, array: NDArray[Any]) -> None:
        self._fill(path, array.shape, array.dtype, [array])

    def _fill(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        slabs: Iterable[NDArray[Any]],
    ) -> None:
        """Write beside and rename: a reader sees all of a volume or nothing."""
        beside: Path | None = None
        source = iter(slabs)
        slices = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            beside = Path(name)
            with os.fdopen(handle, "wb") as file:
                header = {
                    "descr": np.lib.format.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": shape,
                }
                np.lib.format.write_array_header_1_0(file, header)
                for slab in source:
                    assert slab.shape[1:] == shape[1:], (slab.shape, shape)
                    slices += len(slab)
                    file.write(np.ascontiguousarray(slab, dtype).data)
            assert slices == shape[0], (slices, shape)
            os.replace(beside, path)
            beside = None
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            if beside is not None:
                beside.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> MachineError:
        message = f"the cache cannot be written ({error}); name another cache folder"
        return MachineError(Problem(str(self.folder), "cache", message))


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return an entry; None where it is missing or damaged."""
    try:
        entry = np.lib.format.open_memmap(path, mode="r")
    except (FileNotFoundError, NotADirectoryError, ValueError, EOFError):
        return None
    return entry if entry.shape == shape and entry.dtype == dtype else None
