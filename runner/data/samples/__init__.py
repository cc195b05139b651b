"""Embedded samples: small data sets made on the spot, in the real on-disk formats."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from runner.data.samples import pointer, s4gan, uav, vesuvius, yolov8
from runner.errors import MachineError, Problem, RecipeError
from runner.registry import suggestion

PREFIX = "sample:"
DEFAULT_SEED = 1


Generator = Callable[[Path, int], None]
"""Fills an existing, empty folder; a function of the seed."""

SAMPLES: dict[str, Generator] = {
    "pointer": pointer.write,
    "s4gan": s4gan.write,
    "uav": uav.write,
    "vesuvius": vesuvius.write,
    "yolov8": yolov8.write,
}


def write_sample(name: str, folder: Path, seed: int = DEFAULT_SEED) -> None:
    """Write a sample into a folder that is empty or does not exist.

    Raises:
        RecipeError: no sample has this name, or the folder is used.
        MachineError: the folder cannot be written.
    """
    generator = _generator(name, "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            message = "holds files already; name a folder that is empty or does not exist"
            raise RecipeError(Problem(str(folder), "", message))
        generator(folder, seed)
    except OSError as error:
        message = f"the sample cannot be written ({error}); name another folder"
        raise MachineError(Problem(str(folder), "", message)) from error


def sample_folder(root: str, cache: Path) -> Path:
    """Return the folder of a sample, written when it is not there yet.

    Args:
        root: ``sample:uav``, or ``sample:uav:7`` for the seed 7.
        cache: folder for what can be made again.

    Raises:
        RecipeError: the root names no sample.
        MachineError: the cache cannot be written.
    """
    name, colon, written_seed = root.removeprefix(PREFIX).partition(":")
    generator = _generator(name, "data.params.root")
    if colon and not (written_seed.isascii() and written_seed.isdigit()):
        message = f"{root!r}: the seed must be a whole number, as in {PREFIX}{name}:7"
        raise RecipeError(Problem("", "data.params.root", message))
    seed = int(written_seed) if colon else DEFAULT_SEED
    folder = cache / "samples" / f"{name}-{_version(generator)}-seed{seed}"
    if folder.is_dir():
        return folder
    beside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        generator(beside, seed)
        os.replace(beside, folder)
    except OSError as error:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
        # Another process may have renamed its own, equal copy first.
        if not folder.is_dir():
            message = f"the sample cannot be written ({error}); choose another cache folder"
            raise MachineError(Problem(str(folder), "data.params.root", message)) from error
    return folder


def _version(generator: Generator) -> str:
    """Return what changes with the generator's source, so that no older files are taken."""
    source = Path(inspect.getfile(generator)).read_bytes()
    return hashlib.sha256(source).hexdigest()[:12]


def _generator(name: str, key: str) -> Generator:
    if name not in SAMPLES:
        message = f"no sample is called {name!r}; {suggestion(name, SAMPLES)}"
        raise RecipeError(Problem("", key, message))
    return SAMPLES[name]
