"""Symbolic links that lead nowhere, which every other look at a folder takes for nothing at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from runner.data.files import problem
from runner.errors import DataError, Problem

_SHOWN = 20
"""Broken links that are named one by one."""


def broken(path: Path) -> Problem | None:
    """Return what is wrong with a link whose target is not there; None of anything else."""
    if not path.is_symlink() or path.exists():
        return None
    target = os.readlink(path)
    message = f"is a link to {target}, which is not there; mend the link, or remove it"
    return problem(path, message)


def broken_below(root: Path, pattern: str) -> list[Problem]:
    """Return a problem for each broken link among the files, and folders, of a pattern.

    Args:
        root: the folder.
        pattern: from there, with ``*`` for any part of a name.
    """
    found: list[Problem] = []
    folders = [root]
    parts = PurePosixPath(pattern).parts
    for depth, part in enumerate(parts):
        below: list[Path] = []
        for folder in folders:
            for path, is_link in _named(folder, part):
                wrong = broken(path) if is_link else None
                if wrong is not None:
                    found.append(wrong)
                elif depth < len(parts) - 1 and path.is_dir():
                    below.append(path)
        folders = below
    found.sort(key=lambda each: each.place)
    if len(found) > _SHOWN:
        message = f"{len(found) - _SHOWN:,} more links lead nowhere; see those above"
        return [*found[:_SHOWN], problem(root, message)]
    return found


def _named(folder: Path, part: str) -> Iterator[tuple[Path, bool]]:
    """Yield what a folder holds of a name, and whether it is a link; hidden files aside."""
    if "*" not in part:
        yield folder / part, (folder / part).is_symlink()
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if fnmatchcase(entry.name, part) and not entry.name.startswith("."):
                    yield Path(entry.path), entry.is_symlink()
    except OSError:
        return  # Who reads it tells why it cannot be read.


def require_folder(root: Path) -> None:
    """Raise a DataError where the root is no folder."""
    if root.is_dir():
        return
    if wrong := broken(root):
        raise DataError(wrong)
    where = "" if root.is_absolute() else f" at {root.absolute()}"
    cure = "correct data.params.root, or pass --data"
    if where:
        cure += " (a relative root is looked up from the current directory)"
    raise DataError(problem(root, f"is no folder{where}; {cure}"))
