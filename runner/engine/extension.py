"""Begin a longer plan where another run stands, in a folder of its own.

The new folder is what an interrupted run of the new plan would have left, so that the rest is an
ordinary resume: its checkpoints carry the new fingerprint, its events tell of the new plan.
"""

import json
import math
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.counting import number_of
from runner.engine import checkpoint
from runner.engine.folder import RunFolder, RunRecord, refuse_used
from runner.engine.history import Best, Memory, Mode, is_better, without_improvement
from runner.engine.journal import machine_error, read_events
from runner.engine.provenance import git_state, packages
from runner.errors import DataError, Problem, RecipeError
from runner.language.course import learning_rate, plan_of_steps
from runner.language.dump import to_yaml
from runner.language.load import Loaded
from runner.language.recipe import Recipe
from runner.progress import steps_until

QUARTERS = (0.25, 0.5, 0.75, 1.0)
MAY_CHANGE = (
    *("train.epochs", "train.steps", "train.compress_to_steps", "train.evaluate_every"),
    *("train.early_stopping", "train.lr_scale", "train.clip_norm", "train.log_every"),
    *("train.panels", "schedule", "monitor", "health", "expect", "metrics"),
)
"""What a checkpoint does not hold: with other values here its state still fits."""


@dataclass(frozen=True)
class Extension:
    """A new plan for what another run has trained.

    Attributes:
        origin: the other run's folder.
        record: its ``run.json``.
        before, after: its recipe, and that of the new plan.
        state: of its last checkpoint, the best so far by what the new plan monitors.
        was_monitored: epochs, and values of what the old plan monitored.
        steps_per_epoch: of both plans.
        overrides: the ``--set`` texts of the new plan.
    """

    origin: Path
    record: RunRecord
    before: Recipe
    after: Loaded
    state: Mapping[str, Any]
    was_monitored: tuple[tuple[float, float], ...]
    steps_per_epoch: int
    overrides: tuple[str, ...]

    @property
    def done(self) -> int:
        """Steps of the last checkpoint."""
        return int(self.state["step"])

    @property
    def steps(self) -> int:
        """Steps of the new plan in all."""
        return plan_of_steps(self.after.recipe, self.steps_per_epoch).steps

    def rates(self) -> list[tuple[int, float | None, float]]:
        """Return steps, and the learning rates there of the old plan and of the new.

        The first is the step to go on from; where the old plan has ended its rate is None.
        """
        monitored = _monitored(self.state)
        rest = self.steps - self.done
        quarters = (self.done + steps_until(quarter, rest) - 1 for quarter in QUARTERS)
        steps = sorted({self.done, *quarters} - set(range(self.done)))
        old_plan, new_plan = (
            plan_of_steps(recipe, self.steps_per_epoch)
            for recipe in (self.before, self.after.recipe)
        )
        old_rate = learning_rate(self.before, old_plan)
        new_rate = learning_rate(self.after.recipe, new_plan)
        was = self.was_monitored
        before = [old_rate(s, was) if s < old_plan.steps else None for s in steps]
        # What the last step was trained with tells how the new plan goes on from it.
        before[0] = old_rate(min(self.done, old_plan.steps) - 1, was)
        after = [new_rate(step, monitored) for step in steps]
        return list(zip(steps, before, after, strict=True))


def plan_extension(origin: Path, after: Loaded, overrides: Sequence[str]) -> Extension:
    """Read a run's last checkpoint and check that the new plan can go on from it.

    Args:
        origin: the run's folder.
        after: its recipe under the ``--set`` of the new plan.
        overrides: these texts.

    Raises:
        RecipeError: the new plan is no longer than what is done, ends at once, or changes what
            the checkpoint's state depends on.
        FolderInUse: the run is under way.
        DataError, MachineError: its folder is damaged.
    """
    refused = [text for text in overrides if not _may_change(text)]
    if refused:
        message = f"cannot change in mid-training; what can: {', '.join(MAY_CHANGE)}"
        raise RecipeError(Problem(f"--set {text}", "", message) for text in refused)
    with RunFolder.resume(origin) as folder:
        record = folder.run
        loaded = checkpoint.load(folder.checkpoints)
        best = _best_of(folder.checkpoints)
        started = [e for e in read_events(folder.journal.events_path) if e["type"] == "started"]
    if loaded is None or not started:
        message = "holds no checkpoint yet; train it further before a longer plan"
        raise DataError(Problem(str(origin), "--extend", message))
    held = [loaded.step] + ([best.step] if best else [])
    extension = Extension(
        origin=origin,
        record=record,
        before=after.written,
        after=after,
        state=_monitored_anew(loaded.state, after.recipe, held),
        was_monitored=_monitored(loaded.state),
        steps_per_epoch=int(started[0]["steps_per_epoch"]),
        overrides=tuple(overrides),
    )
    _check_length(extension)
    return extension


def _best_of(checkpoints: Path) -> checkpoint.Loaded | None:
    return checkpoint.load(checkpoints, "best") if (checkpoints / "best").is_file() else None


def _monitored(state: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    return tuple((epoch, value) for epoch, value in state["memory"]["monitored"])


def _monitored_anew(
    state: Mapping[str, Any], recipe: Recipe, held: Sequence[int]
) -> Mapping[str, Any]:
    """Return a checkpoint's state as if what a recipe monitors had been monitored from the start.

    Args:
        state: of a checkpoint.
        recipe: of the new plan.
        held: steps of which there is a checkpoint; the best so far is one of them.
    """
    memory = Memory()
    memory.load(state["memory"])
    metric, mode = recipe.monitor.metric, recipe.monitor.mode
    values = [event.values.get(metric, math.nan) for event in memory.evaluated]
    epochs = [epoch for epoch, _ in memory.monitored]
    marks = _improvements(values, mode)
    memory.monitored = tuple(zip(epochs, values, strict=True))
    memory.best = None
    for number, event in enumerate(memory.evaluated):
        memory.evaluated[number] = replace(event, is_best=marks[number])
        value: float | None = memory.best.value if memory.best else None
        if event.step in held and is_better(values[number], value, mode):
            memory.best = Best(metric, values[number], event.step)
    return {**state, "memory": memory.dump()}


def _improvements(values: Sequence[float], mode: Mode) -> list[bool]:
    """Return of each value whether it is better than all before it."""
    best: float | None = None
    marks = []
    for value in values:
        marks.append(is_better(value, best, mode))
        best = value if marks[-1] else best
    return marks


def _may_change(text: str) -> bool:
    key = text.partition("=")[0]
    return any(key == each or key.startswith(f"{each}.") for each in MAY_CHANGE)


def _check_length(extension: Extension) -> None:
    """Refuse a plan that would be at its end before its first step."""
    place = f"--extend {extension.origin}"
    if extension.steps <= extension.done:
        message = (
            f"the new plan has {number_of(extension.steps, 'steps')} and {extension.done} are done "
            f"({extension.steps_per_epoch} in an epoch); set train.epochs or train.steps higher"
        )
        raise RecipeError(Problem(place, "train", message))
    recipe = extension.after.recipe
    stopping = recipe.train.early_stopping
    if stopping is None:
        return
    values = [value for _, value in _monitored(extension.state)]
    since = without_improvement(values, recipe.monitor.mode, stopping.min_delta)
    if since >= stopping.patience:
        message = (
            f"{recipe.monitor.metric} has not improved for {number_of(since, 'evaluations')}, so "
            "that early stopping ends the new plan at once; give it more patience, or set it to "
            "null"
        )
        raise RecipeError(Problem(place, "train.early_stopping", message))


def begin_extension(extension: Extension, out: Path, plugins: Mapping[str, str]) -> None:
    """Write the folder of the new plan, whole or not at all; a resume of it trains.

    Args:
        extension: what to go on from.
        out: the folder; new or empty.
        plugins: own parts by file name, with their sha256.
    Raises: RecipeError: ``out`` is used. MachineError: it cannot be written.
    """
    refuse_used(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        pending = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise machine_error(error, out) from error
    try:
        fingerprint = extension.after.run_fingerprint(plugins)
        kept = [extension.origin / "plugins" / name for name in plugins]
        recipe = to_yaml(extension.after.flat())
        record = _record(extension, fingerprint)
        RunFolder.create(pending / "run", record, recipe, kept).close()
        _copy_checkpoints(extension, pending / "run" / "checkpoints", fingerprint)
        _copy_story(extension, pending / "run")
        (pending / "run").replace(out)
    except OSError as error:
        raise machine_error(error, out) from error
    finally:
        shutil.rmtree(pending)


def _record(extension: Extension, fingerprint: str) -> RunRecord:
    revision, is_dirty = git_state(Path.cwd())
    old = extension.record
    return replace(
        old,
        id=secrets.token_hex(4),
        run_fingerprint=fingerprint,
        overrides=(*old.overrides, *extension.overrides),
        extended_from={"run": old.id, "step": extension.done},
        git_revision=revision,
        is_dirty=is_dirty,
        packages=packages(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        ended=None,
        state="preempted",
        reason=f"begun from step {extension.done} of {extension.origin}",
        exit_code=None,
        expectations=[],
    )


def _copy_checkpoints(extension: Extension, folder: Path, fingerprint: str) -> None:
    """Write the best and the last checkpoint under the new plan's fingerprint."""
    recipe, best = extension.after.recipe, _best_of(extension.origin / "checkpoints")
    wanted = extension.state["memory"]["best"]
    best_step = wanted["step"] if wanted else None
    if best is not None and best.step == best_step and best.step < extension.done:
        state = _monitored_anew(best.state, recipe, [best.step])
        state = {**state, "run_fingerprint": fingerprint}
        checkpoint.save(folder, state, best.step, is_best=True)
    state = {**extension.state, "run_fingerprint": fingerprint}
    checkpoint.save(folder, state, extension.done, is_best=best_step == extension.done)


def _copy_story(extension: Extension, folder: Path) -> None:
    """Keep what the other run told; it speaks of the new plan, and of what that monitors."""
    steps = extension.steps
    records = read_events(extension.origin / "events.jsonl")
    metric, mode = extension.after.recipe.monitor.metric, extension.after.recipe.monitor.mode
    evaluated = [record for record in records if record["type"] == "evaluated"]
    values = [record["values"].get(metric) for record in evaluated]
    marks = _improvements([math.nan if value is None else value for value in values], mode)
    for record, is_best in zip(evaluated, marks, strict=True):
        record["is_best"] = is_best
    lines = []
    for record in records:
        if record["type"] == "started":
            record |= {"steps": steps, "epochs": steps / extension.steps_per_epoch}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    (folder / "events.jsonl").write_text("".join(lines), encoding="utf-8")
    if (extension.origin / "panels").is_dir():
        shutil.copytree(extension.origin / "panels", folder / "panels")
