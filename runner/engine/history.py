"""What a run remembers of itself, and what follows from it: the best, and when to stop early."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from runner.events import Evaluated, Finding, Stepped

Mode = Literal["max", "min"]
Row = dict[str, float]

SKIPS_IN_A_ROW = 3
"""So many steps in a row that are not finite end a training."""


@dataclass(frozen=True)
class Monitor:
    """The metric that best, plateau schedules and early stopping look at."""

    metric: str
    mode: Mode


@dataclass(frozen=True)
class EarlyStopping:
    """When a training ends before its plan does.

    Attributes:
        patience: evaluations without improvement.
        min_delta: what counts as an improvement, in the metric's unit.
    """

    patience: int
    min_delta: float = 0.0


@dataclass(frozen=True)
class Best:
    """The best evaluation so far."""

    metric: str
    value: float
    step: int


@dataclass
class Memory:
    """What changes while a run goes on, beside tensors; a checkpoint keeps all of it.

    Attributes:
        step: optimizer steps done.
        elapsed_s: seconds that earlier processes spent on the run.
        window: figures of each step since the last logging step.
        lost_batches: sample names of the steps of the window that had to be skipped.
        skipped_in_a_row: steps up to now that were not finite.
        stepped, evaluated, findings: the events so far, oldest first.
        monitored: written epoch and value of the monitored metric at each evaluation.
        best: the best evaluation so far.
    """

    step: int = 0
    elapsed_s: float = 0.0
    window: list[Row] = field(default_factory=list)
    lost_batches: list[list[str]] = field(default_factory=list)
    skipped_in_a_row: int = 0
    stepped: list[Stepped] = field(default_factory=list)
    evaluated: list[Evaluated] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    monitored: tuple[tuple[float, float], ...] = ()
    best: Best | None = None

    def level(self, rule: str, subject: str) -> str | None:
        """Return what a rule last said of a subject."""
        said = (f.level for f in reversed(self.findings) if (f.rule, f.subject) == (rule, subject))
        return next(said, None)

    def dump(self) -> dict[str, Any]:
        """Return it as plain data."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        plain["stepped"] = [_plain(event) for event in self.stepped]
        plain["evaluated"] = [_plain(event) for event in self.evaluated]
        plain["findings"] = [_plain(event) for event in self.findings]
        plain["monitored"] = [list(pair) for pair in self.monitored]
        plain["best"] = asdict(self.best) if self.best else None
        # Copies: the lists go on growing after the checkpoint.
        plain["window"] = [dict(row) for row in self.window]
        plain["lost_batches"] = [list(ids) for ids in self.lost_batches]
        return plain

    def load(self, plain: Mapping[str, Any]) -> None:
        """Become what ``dump`` returned."""
        for each in fields(self):
            setattr(self, each.name, plain[each.name])
        self.stepped = [Stepped(**event) for event in plain["stepped"]]
        self.evaluated = [Evaluated(**event) for event in plain["evaluated"]]
        self.findings = [Finding(**event) for event in plain["findings"]]
        self.monitored = tuple((epoch, value) for epoch, value in plain["monitored"])
        self.best = Best(**plain["best"]) if plain["best"] else None


def _plain(event: Stepped | Evaluated | Finding) -> dict[str, Any]:
    values = {each.name: getattr(event, each.name) for each in fields(event)}
    values.pop("panels", None)
    if "values" in values:
        values["values"] = dict(values["values"])
    return values


def is_better(value: float, best: float | None, mode: Mode, min_delta: float = 0.0) -> bool:
    """Return whether a value improves on the best so far; what is not finite never does."""
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    return value > best + min_delta if mode == "max" else value < best - min_delta


def without_improvement(values: Sequence[float], mode: Mode, min_delta: float) -> int:
    """Return how many evaluations have passed since the last that improved by ``min_delta``."""
    best, since = None, 0
    for value in values:
        if is_better(value, best, mode, min_delta):
            best, since = value, 0
        else:
            since += 1
    return since


def mean_rows(rows: Sequence[Row]) -> Row:
    """Return the means of the steps' figures; of those applied, where there are any.

    A term that a step did not have counts as 0 in it, so that terms add up to the loss. A figure
    that a step could not know, which is NaN in it, does not count.
    """
    counted = [row for row in rows if not row["skipped"]] or list(rows)
    names = dict.fromkeys(name for row in counted for name in row if name != "skipped")
    return {name: mean_of_known([row.get(name, 0.0) for row in counted]) for name in names}


def mean_of_parts(parts: Sequence[Row]) -> Row:
    """Return the means of the processes' figures.

    A term that a process did not have counts as 0 in it. A figure that it could not know, which is
    NaN in it, does not count; a loss is never unknown: NaN of one process is NaN of all.
    """
    names = dict.fromkeys(name for part in parts for name in part)
    means = {}
    for name in names:
        values = [part.get(name, 0.0) for part in parts]
        is_loss = name.partition("/")[0] == "loss"
        means[name] = sum(values) / len(values) if is_loss else mean_of_known(values)
    return means


def mean_of_known(values: Sequence[float]) -> float:
    """Return the mean of the values that are not NaN; NaN where all are."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
