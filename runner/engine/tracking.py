"""Trackers: where curves and pictures go besides the run folder."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

from runner.errors import MachineError, Problem, RecipeError
from runner.events import Evaluated, Event, Finding, Stepped


class Tracker(Protocol):
    """A consumer of events."""

    def write(self, event: Event) -> None:
        """Show an event, or leave it be.

        Raises: MachineError: it cannot be written.
        """
        ...

    def close(self) -> None:
        """Write what is pending and let go."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What a tracker is told about the run.

    Attributes:
        folder: the run's.
        id: the same after a resume.
        recipe: name of the recipe; the project where a tracker has projects.
        resumed_at: step of the checkpoint that the run continues from; 0 where there was none
            yet, None where the run is fresh.
    """

    folder: Path
    id: str
    recipe: str
    resumed_at: int | None = None


def open_tracker(name: str, run: TrackedRun) -> Tracker:
    """Return a tracker by name.

    Raises:
        RecipeError: there is none of that name.
        MachineError: its package is not installed.
    """
    if name not in _TRACKERS:
        near = get_close_matches(name, _TRACKERS, n=1)
        cure = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(_TRACKERS)}"
        raise RecipeError(Problem("", "tracker", f"no tracker is called {name!r}; {cure}"))
    return _TRACKERS[name](run)


def _scalars(event: Event) -> Mapping[str, float]:
    if isinstance(event, Stepped):
        return {**event.values, "throughput/samples_per_s": event.samples_per_s}
    return event.values if isinstance(event, Evaluated) else {}


def _pictures(event: Event) -> Iterator[tuple[str, Any]]:
    """Yield name and picture (H, W, 3) uint8 of each panel."""
    if isinstance(event, Evaluated):
        for number, picture in enumerate(event.panels):
            yield f"panels/{number}", picture


def _sentence(finding: Finding) -> str:
    return f"{finding.level}: {finding.message} {finding.advice}".strip()


def _extra(name: str) -> Any:
    """Import the package of an optional tracker."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f'is not installed; pip install "training-recipe-runner[{name}]"'
        raise MachineError(Problem(name, "", message)) from error


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn a failed write below a folder into the error that says so."""
    try:
        yield
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}; free space or use --out"
        raise MachineError(Problem(str(folder), "", message)) from error


class TensorBoard:
    """Scalars, panels and findings for ``tensorboard --logdir``.

    A resumed run hides what an earlier process logged past the checkpoint.
    """

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = run.folder / "tensorboard"
        # The checkpoint's own step was logged before it was saved, so it stays.
        purge = None if run.resumed_at is None else run.resumed_at + 1
        with _disk_errors(self._folder):
            self._writer: Any = SummaryWriter(str(self._folder), purge_step=purge)

    def write(self, event: Event) -> None:
        """Log an event; evaluations are flushed, so that a viewer shows them at once."""
        with _disk_errors(self._folder):
            for name, value in _scalars(event).items():
                self._writer.add_scalar(name, value, event.step)
            for name, picture in _pictures(event):
                self._writer.add_image(name, picture, event.step, dataformats="HWC")
            if isinstance(event, Finding):
                name = "/".join(filter(None, ("health", event.rule, event.subject)))
                self._writer.add_text(name, _sentence(event), event.step)
            if not isinstance(event, Stepped):
                self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        with _disk_errors(self._folder):
            self._writer.close()


class WeightsAndBiases:
    """Scalars and panels as a run of wandb; findings that are not good as its alerts."""

    def __init__(self, run: TrackedRun) -> None:
        self._wandb = _extra("wandb")
        self._run = self._wandb.init(
            project=run.recipe, id=run.id, dir=str(run.folder), resume="allow"
        )
        # A resumed run logs steps again, and wandb drops what goes back on its own step axis.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, event: Event) -> None:
        """Log an event."""
        logged: dict[str, Any] = dict(_scalars(event))
        logged.update({name: self._wandb.Image(each) for name, each in _pictures(event)})
        if logged:
            self._run.log({"step": event.step, **logged})
        # An alert is a message to somebody's telephone: not for what is well.
        if isinstance(event, Finding) and event.level != "good":
            levels = self._wandb.AlertLevel
            level = levels.ERROR if event.level == "critical" else levels.WARN
            self._run.alert(event.rule, _sentence(event), level=level)

    def close(self) -> None:
        """Upload what is pending."""
        self._run.finish()


class MLflow:
    """Scalars, panels and findings as a run of mlflow, at its own tracking address."""

    def __init__(self, run: TrackedRun) -> None:
        self._client = _extra("mlflow").MlflowClient()
        experiment = self._client.get_experiment_by_name(run.recipe)
        where = (
            experiment.experiment_id if experiment else self._client.create_experiment(run.recipe)
        )
        known = self._client.search_runs([where], f"tags.`runner.id` = '{run.id}'")
        tags = {"runner.id": run.id}
        found = known[0] if known else self._client.create_run(where, run_name=run.id, tags=tags)
        self._id: str = found.info.run_id

    def write(self, event: Event) -> None:
        """Log an event."""
        for name, value in _scalars(event).items():
            self._client.log_metric(self._id, name.replace("@", "_at_"), value, step=event.step)
        for name, picture in _pictures(event):
            self._client.log_image(self._id, picture, f"{name}-step-{event.step:08d}.png")
        if isinstance(event, Finding):
            self._client.log_text(
                self._id, _sentence(event), f"health/{event.step:08d}-{event.rule}.txt"
            )

    def close(self) -> None:
        """Mark the process as over."""
        self._client.set_terminated(self._id)


_TRACKERS: Mapping[str, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
