"""The folder of a run: who may write to it, and what it says about itself.

run.json       what was run, on what, and how it ended; written last when a run is created
recipe.yaml    the recipe, resolved and flat
plugins/       copies of the user's own parts
checkpoints/   engine/checkpoint.py
tensorboard/   engine/tracking.py
the rest       engine/journal.py
"""

import fcntl
import hashlib
import json
import os
import weakref
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from runner.engine.journal import Journal, finite, machine_error, write_whole
from runner.engine.record import RunRecord, State, read_run
from runner.errors import DataError, FolderInUse, MachineError, Problem, RecipeError
from runner.events import Event

__all__ = [
    "RunFolder", "RunRecord", "State", "new_path", "read_run", "refuse_used",
]  # fmt: skip

_LOCK = ".lock"
_LEFT_BY_A_KILLED_START = (_LOCK, "recipe.yaml", "plugins")


def new_path(runs: Path, recipe: str, started: datetime, run_id: str) -> Path:
    """Return ``runs/<recipe>/<time>-<id>``."""
    return runs / recipe / f"{started:%Y%m%d-%H%M%S}-{run_id}"


class RunFolder:
    """A run's folder, held by this process until it is closed.

    Made by ``create`` or ``resume``; a context manager.

    Attributes:
        path: the folder.
        run: what ``run.json`` says now.
        journal: events, metrics and panels.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.run = RunRecord(id="", recipe="")  # until create or resume knows it
        self.journal = Journal(path)
        self._lock = lock
        # A loader's worker that outlives a killed run would keep an inherited lock.
        held = weakref.WeakMethod(self.close)
        os.register_at_fork(after_in_child=lambda: (close := held()) and close())

    @classmethod
    def create(cls, path: Path, run: RunRecord, recipe: str, plugins: Sequence[Path] = ()) -> Self:
        """Begin a run in a new or empty folder.

        Args:
            path: the folder; it and those above it are made.
            run: what is known before training; ``plugins`` is filled in.
            recipe: text of ``recipe.yaml``.
            plugins: files to keep with the run.

        Raises:
            RecipeError: the folder is used.
            FolderInUse: another process holds it.
            MachineError: it cannot be written.
        """
        refuse_used(path)  # before a lock file is left in a folder that is not ours
        folder = cls(path, _lock(path))
        try:
            refuse_used(path)
            write_whole(path / "recipe.yaml", recipe.encode())
            hashes = folder._keep_plugins(plugins)
            # The run has begun when run.json is there: a start killed before can be repeated.
            folder._write_run(replace(run, plugins=hashes))
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Take up a run; call ``journal.cut_back`` before the first event.

        Raises:
            RecipeError: there is no run in the folder.
            FolderInUse: another process holds it.
            DataError: ``run.json`` is damaged.
        """
        if read_run(path) is None:
            message = "holds no run to resume; train one with --out, or name another folder"
            raise RecipeError(Problem(str(path), "", message))
        folder = cls(path, _lock(path))
        try:
            # Read again: the process that held the folder until now may have changed it.
            run = read_run(path)
            assert run is not None, f"{path}/run.json vanished while the folder was locked"
            folder.run = run
        except BaseException:
            folder.close()
            raise
        return folder

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.path / "checkpoints"

    def recipe(self) -> str:
        """Return the text of ``recipe.yaml``."""
        return (self.path / "recipe.yaml").read_text(encoding="utf-8")

    def plugins(self) -> tuple[Path, ...]:
        """Return the kept plugins.

        Raises: DataError: one is no longer what the run began with.
        """
        paths = tuple(self.path / "plugins" / name for name in self.run.plugins)
        message = "was changed since the run began; restore it, or begin a new run"
        changed = [
            Problem(str(path), "", message)
            for path in paths
            if not path.is_file() or _sha256(path) != self.run.plugins[path.name]
        ]
        if changed:
            raise DataError(changed)
        return paths

    def update(self, **changes: Any) -> None:
        """Change fields of ``run.json``: ``update(state="done", exit_code=0)``.

        Raises: MachineError: it cannot be written; the old one is whole.
        """
        self._write_run(replace(self.run, **changes))

    def write(self, event: Event) -> None:
        """Write an event down.

        Raises: MachineError: it cannot be written; what was there is whole.
        """
        self.journal.write(event)

    def close(self) -> None:
        """Let other processes have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_run(self, run: RunRecord) -> None:
        text = json.dumps(finite(asdict(run)), indent=2, allow_nan=False, ensure_ascii=False)
        write_whole(self.path / "run.json", (text + "\n").encode())
        self.run = run

    def _keep_plugins(self, plugins: Sequence[Path]) -> dict[str, str]:
        names = [plugin.name for plugin in plugins]
        problems = [
            Problem(str(plugin), "--plugin", message)
            for plugin in plugins
            for is_wrong, message in (
                (not plugin.is_file(), "is no file; check the path"),
                (names.count(plugin.name) > 1, "shares its name with another; rename one"),
            )
            if is_wrong
        ]
        if problems:
            raise RecipeError(problems)
        kept = self.path / "plugins"
        if plugins:
            try:
                kept.mkdir(exist_ok=True)
            except OSError as error:
                raise machine_error(error, kept) from error
        for plugin in plugins:
            write_whole(kept / plugin.name, plugin.read_bytes())
        return {name: _sha256(kept / name) for name in names}


def _lock(path: Path) -> int:
    """Make the folder, hold it, and return the open lock file."""
    lock = -1
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        message = "another process writes to this run folder; wait for it, or end it"
        raise FolderInUse(Problem(str(path), "", message)) from error
    except OSError as error:
        if lock >= 0:
            os.close(lock)
            message = f"this disk cannot lock files ({error.strerror}); choose another with --out"
            raise MachineError(Problem(str(path), "", message)) from error
        raise machine_error(error, path) from error
    return lock


def refuse_used(path: Path) -> None:
    """Refuse a folder that holds a run or anything else of the user's.

    Raises: RecipeError: it does. MachineError: it cannot be read.
    """
    if path.is_file():
        message = "is a file; name a new folder with --out"
        raise RecipeError(Problem(str(path), "", message))
    try:
        names = sorted(os.listdir(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise machine_error(error, path) from error
    if "run.json" in names:
        message = f"holds a run; continue it with --resume {path}, or name a new folder with --out"
        raise RecipeError(Problem(str(path), "", message))
    foreign = [n for n in names if n not in _LEFT_BY_A_KILLED_START and not n.endswith(".tmp")]
    if foreign:
        message = f"is not empty ({', '.join(foreign[:3])}); name a new folder with --out"
        raise RecipeError(Problem(str(path), "", message))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
