"""One process's part in a run: the folder, the events written down, and how it ended."""

import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.engine.checkpoint import Loaded as Checkpoint
from runner.engine.checkpoint import checkpoint_name
from runner.engine.checkpoint import load as load_checkpoint
from runner.engine.distributed import Processes, start_processes, stop_processes
from runner.engine.folder import RunFolder, RunRecord, State, new_path, refuse_used
from runner.engine.loop import beginning, train
from runner.engine.machine import lost_workers_unheard
from runner.engine.provenance import device_words, git_state, packages, pick_device
from runner.engine.reading import change_since_analysis
from runner.engine.request import Request
from runner.engine.run import Assembled, assemble
from runner.engine.state import restore
from runner.engine.tracking import TrackedRun, Tracker, open_tracker
from runner.errors import DataError, Problem, RunnerError
from runner.events import Evaluated, Event, Finding, Finished, Saved
from runner.language.blame import blaming
from runner.language.dump import to_yaml
from runner.language.machine import expanded
from runner.language.plugins import blaming_plugins

EXIT_CODES = {"done": 0, "stopped": 5, "preempted": 75}


class Session:
    """A run from its first event to its ``run.json``; every process has one, rank 0 the folder.

    Iterate over ``events`` and show them; then read ``exit_code``.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.exit_code = 1
        self.processes = Processes()
        self.folder: RunFolder | None = None
        self.assembled: Assembled | None = None
        self._identity = secrets.token_hex(4)
        self._knows_why = False
        self._trackers: list[Tracker] = []
        self._last: dict[str, float] = {}
        self._best: tuple[int, dict[str, float]] | None = None
        self._health: dict[str, int] = {"good": 0, "warning": 0, "critical": 0}

    def events(self) -> Generator[Event, None, None]:
        """Train, write every event down, and yield it.

        Raises: RunnerError: what the user must mend; ``run.json`` says it too.
        """
        try:
            with blaming_plugins():
                yield from self._train_with_others()
        except RunnerError as error:
            self._leave(error, "failed", str(error), error.exit_code)
            raise
        except KeyboardInterrupt as error:
            self._leave(error, "preempted", "interrupted", EXIT_CODES["preempted"])
            raise
        except GeneratorExit as error:
            reason = "nobody reads its events any longer"
            self._leave(error, "preempted", reason, EXIT_CODES["preempted"])
            raise
        except BaseException as error:
            # A bug of ours: the folder must not say "running" for ever.
            self._leave(error, "failed", f"{type(error).__name__}: {error}", 1)
            raise
        finally:
            with lost_workers_unheard():
                for tracker in self._trackers:
                    tracker.close()
                if self.folder is not None:
                    self.folder.close()
                stop_processes()

    def _train_with_others(self) -> Iterator[Event]:
        """Train; where another process has left in the middle of a step, raise what it met."""
        try:
            yield from self._train()
        except RuntimeError as error:
            told = self.processes.why_alone(error)
            if told is None:
                raise
            self._knows_why = True
            raise told from error

    def _leave(self, error: BaseException, state: State, reason: str, code: int) -> None:
        self._end(state, reason, code)
        # Who was told has nothing to tell; a reader who stops listening is no fault.
        if not (self._knows_why or isinstance(error, GeneratorExit)):
            self.processes.leave_word(error)

    def _train(self) -> Iterator[Event]:
        request = self.request
        # torchrun says how many processes there are before a device can be picked.
        wants_cuda = pick_device(self._device_name()).type == "cuda"
        self.processes = start_processes("cuda" if wants_cuda else "cpu")
        device = pick_device(self._device_name(), self.processes.local_rank)
        path = self._claim()
        with self.processes.agreeing():
            checkpoint = load_checkpoint(path / "checkpoints") if request.resumes else None
        measured = self._measured() if checkpoint is not None else {}
        with self.processes.agreeing():
            self.assembled = assemble(
                request.loaded,
                request.machine,
                device=device,
                processes=self.processes,
                fingerprint=self._fingerprint(),
                checkpoints=path / "checkpoints",
                measured=measured,
                will_be_restored=checkpoint is not None,
                stop_requested=request.stop_requested,
            )
            run = self.assembled.run
            if checkpoint is not None:
                restore(run, checkpoint.state)
        changed = change_since_analysis(request.loaded, request.machine, self.assembled.data)
        if changed and self.processes.is_main:
            request.warn(changed)
        if checkpoint is not None and self.processes.is_main:
            for problem in checkpoint.problems:
                request.warn(f"{problem}; going on from {checkpoint.name}")
        reyield = False
        with self.processes.agreeing():
            if self.processes.is_main:
                # Only now: what is found wrong before the first step leaves no folder behind.
                self.folder = self.folder or self._create(path)
                reyield = self._begin(self.folder, checkpoint, device_words(device))
        with blaming(request.loaded.source, "task"):
            for event in train(run, reyield_saved=reyield):
                self._write(event)
                yield event
        # Only the main process was told how it ended.
        self.exit_code = self.processes.gather(self.exit_code)[0]

    def _device_name(self) -> str:
        asked, profile = self.request.device, self.request.machine.device
        return profile if asked == "auto" else asked

    def _fingerprint(self) -> str:
        return self.request.loaded.run_fingerprint(self.request.plugin_hashes)

    def _claim(self) -> Path:
        """Return the run's folder; one that is resumed is held from now on."""
        with self.processes.agreeing():
            path = self._claimed() if self.processes.is_main else self.request.out
        shared: Path = self.processes.gather(path)[0]
        return shared

    def _claimed(self) -> Path:
        request, path = self.request, self.request.out
        if request.resumes:
            assert path is not None, "a resumed run has a folder"
            self.folder = RunFolder.resume(path)
            return path
        runs = expanded(request.machine.runs)
        path = path or new_path(runs, request.loaded.name, datetime.now(UTC), self._identity)
        refuse_used(path)
        return path

    def _create(self, path: Path) -> RunFolder:
        loaded = self.request.loaded
        revision, is_dirty = git_state(Path.cwd())
        record = RunRecord(
            id=self._identity,
            recipe=loaded.name,
            version=loaded.recipe.version,
            recipe_fingerprint=loaded.recipe_fingerprint,
            run_fingerprint=self._fingerprint(),
            overrides=loaded.overrides,
            scale=loaded.scale,
            seed=loaded.recipe.train.seed,
            git_revision=revision,
            is_dirty=is_dirty,
            packages=packages(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return RunFolder.create(path, record, to_yaml(loaded.flat()), self.request.plugins)

    def _measured(self) -> Mapping[str, Sequence[float]]:
        recorded = dict(self.folder.run.measured) if self.folder is not None else {}
        shared: Mapping[str, Sequence[float]] = self.processes.gather(recorded)[0]
        return shared

    def _begin(self, folder: RunFolder, checkpoint: Checkpoint | None, device: str) -> bool:
        """Write down what is known now; return whether the Saved event must be told again."""
        assert self.assembled is not None, "the run is assembled before it begins"
        run, fingerprint = self.assembled.run, self.assembled.data.fingerprint
        if checkpoint is not None and folder.run.data_fingerprint not in ("", fingerprint):
            message = (
                f"its data are not those it was begun with: fingerprint {fingerprint}, then "
                f"{folder.run.data_fingerprint}, of names, sizes and splits of the files; restore "
                "them, or begin a new run in another folder"
            )
            raise DataError(Problem(str(folder.path), "data", message))
        reyield = False
        if checkpoint is not None:
            self.request.warn(f"going on after step {checkpoint.step} of {run.plan.steps}")
            memory = run.memory
            remembered = [*memory.stepped, *memory.evaluated, *memory.findings]
            if folder.journal.fill_in(beginning(run.plan), remembered):
                message = "lacked events; those that the checkpoint remembers were written anew"
                self.request.warn(f"{folder.journal.events_path} {message}")
            reyield = folder.journal.cut_back(checkpoint.step)
        elif self.request.resumes:
            folder.journal.cut_back(-1)
        for finding in run.memory.findings:
            self._health[finding.level] += 1
        if run.memory.evaluated:
            self._last = dict(run.memory.evaluated[-1].values)
            for event in run.memory.evaluated:
                if run.memory.best and event.step == run.memory.best.step:
                    self._best = (event.step, dict(event.values))
        tracked = TrackedRun(
            folder=folder.path,
            id=folder.run.id,
            recipe=folder.run.recipe,
            # Killed before its first checkpoint, a run begins again over its own curves.
            resumed_at=checkpoint.step if checkpoint else 0 if self.request.resumes else None,
        )
        self._trackers = [open_tracker(name, tracked) for name in self.request.trackers]
        folder.update(
            state="running",
            reason="",
            exit_code=None,
            ended=None,
            device=device,
            data_fingerprint=fingerprint,
            measured=self.assembled.measured,
        )
        return reyield

    def _write(self, event: Event) -> None:
        """Write an event to the folder and the trackers."""
        folder = self.folder
        assert folder is not None, "only the main process is yielded events"
        folder.write(event)
        for tracker in self._trackers:
            tracker.write(event)
        match event:
            case Evaluated():
                self._last = dict(event.values)
                if event.is_best:
                    self._best = (event.step, self._last)
            case Finding():
                self._health[event.level] += 1
            case Saved():
                folder.update(best=self._best_row(event.checkpoint), health=dict(self._health))
            case Finished():
                self._finish(folder, event)

    def _best_row(self, newest: str) -> dict[str, Any] | None:
        if self._best is None:
            return None
        step, values = self._best
        metric = self.request.loaded.recipe.monitor.metric
        name = checkpoint_name(step)
        assert self.folder is not None, "only the main process writes"
        is_there = name == newest or (self.folder.checkpoints / name).exists()
        return {
            "metric": metric,
            "value": values.get(metric),
            "step": step,
            "checkpoint": name if is_there else None,
        }

    def _finish(self, folder: RunFolder, event: Finished) -> None:
        """Hold the result against what the recipe expects and close ``run.json``."""
        rows = self.request.judge(self._last, self._best[1] if self._best else {})
        code = EXIT_CODES[event.state]
        if code == 0 and self.request.is_strict and not all(row["met"] for row in rows):
            code = 4
        folder.update(expectations=rows, health=dict(self._health))
        self._end(event.state, event.reason, code)

    def _end(self, state: State, reason: str, code: int) -> None:
        self.exit_code = code
        if self.folder is not None:
            ended = datetime.now(UTC).isoformat(timespec="seconds")
            with lost_workers_unheard():
                self.folder.update(state=state, reason=reason, exit_code=code, ended=ended)
