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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from runner.engine.journal import Journal, finite, machine_error, write_whole
from runner.errors import DataError, FolderInUse, MachineError, Problem, RecipeError
from runner.events import Event

State = Literal["running", "done", "stopped", "failed", "preempted"]
Scale = Literal["full", "sample", "smoke"]

_LOCK = ".lock"
_LEFT_BY_A_KILLED_START = (_LOCK, "recipe.yaml", "plugins")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What ``run.json`` says.

    Attributes:
        id: names the run among all runs, as trackers want it.
        recipe, version: the recipe's name, and its version where it is published.
        recipe_fingerprint: of the recipe as written, resolved, without data root, seed and prose.
        run_fingerprint: after overlays, overrides, seed and data; what a checkpoint carries.
        overrides: ``--set`` values as they were written.
        plugins: file name to sha256.
        scale: whether the embedded sample or a smoke test shrank the recipe.
        seed: of the run.
        git_revision, is_dirty: of the checkout, where there is one.
        packages: name to version.
        device: what was trained on, in words.
        data_fingerprint: of the files that were read.
        measured: figures of the training split that the recipe took ``from_data``.
        extended_from: ``run`` and ``step`` that a longer plan went on from.
        started, ended: ISO 8601, in UTC.
        state, reason, exit_code: how it is going, or how it ended.
        best: metric, value, step, checkpoint.
        expectations: metric, wanted, got, met.
        health: findings of each level.
    """

    id: str
    recipe: str
    version: int | None = None
    recipe_fingerprint: str = ""
    run_fingerprint: str = ""
    overrides: Sequence[str] = field(default_factory=list)
    plugins: Mapping[str, str] = field(default_factory=dict)
    scale: Scale = "full"
    seed: int = 0
    git_revision: str | None = None
    is_dirty: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    data_fingerprint: str = ""
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)
    extended_from: Mapping[str, Any] | None = None
    started: str = ""
    ended: str | None = None
    state: State = "running"
    reason: str = ""
    exit_code: int | None = None
    best: Mapping[str, Any] | None = None
    expectations: Sequence[Mapping[str, Any]] = field(default_factory=list)
    health: Mapping[str, int] = field(default_factory=dict)


def new_path(runs: Path, recipe: str, started: datetime, run_id: str) -> Path:
    """Return ``runs/<recipe>/<time>-<id>``."""
    return runs / recipe / f"{started:%Y%m%d-%H%M%S}-{run_id}"


def read_run(path: Path) -> RunRecord | None:
    """Return what a folder says about its run; None where no run was begun in it.

    Raises: DataError: ``run.json`` is damaged, or a newer runner wrote it.
    """
    file = path / "run.json"
    try:
        written = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(Problem(str(file), "", "is no record of a run; name another")) from error
    known = {each.name for each in fields(RunRecord)}
    if not isinstance(written, dict) or not {"id", "recipe"} <= written.keys():
        raise DataError(Problem(str(file), "", "is no record of a run; name another"))
    unknown = [
        Problem(str(file), key, "is unknown here: a newer runner wrote it; update this one")
        for key in written
        if key not in known
    ]
    if unknown:
        raise DataError(unknown)
    return RunRecord(**written)


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
