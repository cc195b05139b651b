"""Checkpoint files: written whole or not at all, and verified before they are believed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, Literal

import torch

from runner.errors import MachineError, Problem

Which = Literal["last", "best"]
_SPARE_BYTES = 1 << 20
_NAME = re.compile(r"step-\d+\.pt")


@dataclass(frozen=True)
class Loaded:
    """A checkpoint that was read and verified.

    Attributes:
        state: what ``save`` was given, its tensors on the CPU.
        step: optimizer steps done in it.
        name: of its file.
        problems: checkpoints that were asked for first and found damaged.
    """

    state: dict[str, Any]
    step: int
    name: str
    problems: tuple[Problem, ...] = ()


def checkpoint_name(step: int) -> str:
    """Return the file name of the checkpoint after so many steps."""
    return f"step-{step:08d}.pt"


def save(folder: Path, state: Mapping[str, Any], step: int, *, is_best: bool = False) -> str:
    """Write a checkpoint, name it ``last``, and remove all but the two newest and the best.

    Args:
        folder: made where it is missing.
        state: tensors, numbers, texts, and lists and dicts of them.
        step: optimizer steps done.
        is_best: whether to name it ``best`` too.
    Returns: the file's name.
    Raises: MachineError: the disk is full or not writable; what was there stays whole.
    """
    name = checkpoint_name(step)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(folder)
        _check_space(folder, state)
        pending = folder / f"{name}.partial"
        _write(pending, lambda file: torch.save(dict(state), file))
        with pending.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # The digest comes first: a checkpoint that can be seen can be verified.
        _replace_text(folder / f"{name}.sha256", f"{digest}  {name}\n")
        _rename(pending, folder / name)
        # First: a run killed in between finds this best again. One told that it is the last would
        # believe that its best is named, too.
        if is_best:
            _replace_text(folder / "best", f"{name}\n")
        _replace_text(folder / "last", f"{name}\n")
        _prune(folder, name)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__
        # A write that fails below torch's zip writer comes up as the writer's RuntimeError.
        if not isinstance(cause, OSError):
            raise
        raise _not_written(folder, cause) from error
    return name


def load(folder: Path, which: Which = "last") -> Loaded | None:
    """Read a checkpoint; where it is damaged, the one before it.

    Returns: None where no checkpoint was ever written.
    Raises: MachineError: there are checkpoints and every one is damaged.
    """
    names = sorted((path.name for path in folder.glob("step-*.pt")), reverse=True)
    if not names:
        return None
    wanted = _read_name(folder / which) or names[0]
    named_nothing = not _NAME.fullmatch(wanted)
    if named_nothing:
        wanted = names[0]
    # From the wanted one back in time; newer ones only when nothing older is whole.
    order = [name for name in names if name <= wanted]
    order += [name for name in reversed(names) if name > wanted]
    problems = []
    if named_nothing:
        problems.append(Problem(str(folder / which), "", "names no checkpoint"))
    elif wanted not in names:
        message = "is missing; restore it from a copy, or begin a new run"
        problems.append(Problem(str(folder / wanted), "", message))
    for name in order:
        try:
            state = _read(folder / name)
        except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
            problems.append(Problem(str(folder / name), "", f"is damaged: {error}"))
            continue
        return Loaded(state, int(name[5:-3]), name, tuple(problems))
    cure = "no checkpoint is left whole: start anew in another folder, or restore a copy"
    raise MachineError([*problems, Problem(str(folder), "", cure)])


def _read(path: Path) -> dict[str, Any]:
    """Return the state of a file whose digest is right, or raise."""
    beside = path.with_name(path.name + ".sha256")
    if not beside.is_file():
        raise ValueError("its .sha256 file is missing")
    wanted = beside.read_text("ascii").split(" ", 1)[0]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            raise ValueError("its content differs from its .sha256 file")
        file.seek(0)
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def _read_name(path: Path) -> str | None:
    return path.read_text("ascii").strip() if path.is_file() else None


def _write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _rename(pending: Path, final: Path) -> None:
    """Give a complete file its name and wait until the folder knows it."""
    pending.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace_text(path: Path, text: str) -> None:
    pending = path.with_name(path.name + ".partial")
    _write(pending, lambda file: file.write(text.encode("ascii")))
    _rename(pending, path)


def _clear_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written."""
    for path in folder.glob("*.partial"):
        path.unlink()


def _check_space(folder: Path, state: Mapping[str, Any]) -> None:
    needed = _bytes_of(state) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        message = f"{needed / 2**20:.0f} MiB needed, {free / 2**20:.0f} MiB free"
        raise OSError(errno.ENOSPC, message)


def _bytes_of(value: Any) -> int:
    """Return about how many bytes a value takes on disk."""
    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, Mapping):
        return sum(_bytes_of(each) for each in value.values()) + 32 * len(value)
    if isinstance(value, (list, tuple)):
        return sum(map(_bytes_of, value))
    return 16


def _prune(folder: Path, newest: str) -> None:
    """Remove all but the newest two and the best; later ones are of a course that was left."""
    names = sorted(path.name for path in folder.glob("step-*.pt"))
    recent = [name for name in names if name <= newest][-2:]
    kept = {*recent, _read_name(folder / "best")}
    for name in names:
        if name not in kept:
            (folder / name).unlink()
    # Digests go last: a kill between the two leaves one too many, never one too few.
    for path in folder.glob("step-*.pt.sha256"):
        if not path.with_suffix("").exists():
            path.unlink()


def _not_written(folder: Path, error: OSError) -> MachineError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cure = "free some space" if is_full else "make the folder writable"
    message = f"the checkpoint could not be written ({error}); earlier ones are whole; {cure}"
    return MachineError(Problem(str(folder), "", f"{message}, or give --out elsewhere"))
