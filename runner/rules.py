"""What health rules are made of: a reading of the history, and remarks that become findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from runner.contracts import HealthRule, History
    from runner.events import Evaluated, Event, Finding, Level, Stepped

AnyEvent = TypeVar("AnyEvent", bound="Event")


@dataclass(frozen=True)
class Remark:
    """A finding before it is known when and by which rule; see ``Finding`` for the fields."""

    level: Level
    subject: str
    value: float | None
    threshold: float | None
    message: str
    advice: str = ""
    stops: bool = False


@dataclass(frozen=True)
class Rule:
    """A HealthRule that says what is the case, what no longer is, and what it cannot read.

    Attributes:
        name: its registered name.
        judge: a history, with nothing in it yet perhaps, to what is the case now.
        reads: metrics, or patterns of them, without which it would be silent for ever.
    """

    name: str
    judge: Callable[[History], Iterable[Remark]]
    reads: tuple[str, ...] = ()

    def __call__(self, history: History) -> list[Finding]:
        """Return what there is to say now."""
        if not (history.stepped or history.evaluated):
            return []
        remarks = [*_unread(history, self.reads), *self.judge(history)]
        subjects = {remark.subject for remark in remarks}
        for was in self.judge(_before_this_step(history)):
            if was.level != "good" and was.subject not in subjects:
                over = f"no longer: {was.message}"
                remarks.append(Remark("good", was.subject, was.value, was.threshold, over))
        return [_finding(self.name, remark, history) for remark in remarks]

    def unread(self, history: History) -> list[Finding]:
        """Return what it cannot read."""
        return [_finding(self.name, each, history) for each in _unread(history, self.reads)]


@dataclass(frozen=True)
class OnTrial:
    """A HealthRule in a smoke test, whose few steps show no more than whether it can be asked.

    Attributes:
        rule: asked, so that one that raises is found; what it finds is not passed on.
    """

    rule: HealthRule

    @property
    def reads(self) -> tuple[str, ...]:
        """Metrics that the rule reads."""
        return tuple(getattr(self.rule, "reads", ()))

    def __call__(self, history: History) -> list[Finding]:
        """Return what the rule cannot read."""
        self.rule(history)
        return self.rule.unread(history) if isinstance(self.rule, Rule) else []


def rule(name: str, judge: Callable[[History], Iterable[Remark]], *reads: str) -> HealthRule:
    """Return the rule of a name; ``Rule`` tells the rest."""
    return Rule(name, judge, reads)


def _finding(name: str, remark: Remark, history: History) -> Finding:
    from runner.events import Finding

    now = _now(history)
    return Finding(
        step=now.step,
        epoch=now.epoch,
        time_s=now.time_s,
        rule=name,
        level=remark.level,
        subject=remark.subject,
        message=remark.message,
        value=remark.value,
        threshold=remark.threshold,
        advice=remark.advice,
        stops=remark.stops,
    )


def _now(history: History) -> Stepped | Evaluated:
    latest: list[Stepped | Evaluated] = [*history.stepped[-1:], *history.evaluated[-1:]]
    return max(latest, key=lambda event: event.step)


def _before_this_step(history: History) -> History:
    """Return the history as it was at the last step before this one that had an event."""
    now = _now(history).step
    was = replace(
        history,
        stepped=_until(history.stepped, now),
        evaluated=_until(history.evaluated, now),
    )
    share = _now(was).step / now if was.stepped or was.evaluated else 0.0
    done = history.progress
    then = {key: share * getattr(done, key) for key in ("step", "epoch", "fraction")}
    return replace(was, progress=replace(done, **then))


def _until(events: Sequence[AnyEvent], step: int) -> Sequence[AnyEvent]:
    return events[:-1] if events and events[-1].step == step else events


def _unread(history: History, reads: Iterable[str]) -> Iterator[Remark]:
    """Complain of metrics that nothing gives, so that no rule is silent without a word."""
    if not (history.stepped and history.evaluated):
        return
    known = sorted({*history.stepped[-1].values, *history.evaluated[-1].values})
    for pattern in reads:
        if not any(fnmatchcase(name, pattern) for name in known):
            message = f"nothing gives {pattern}; there are: {', '.join(known)}"
            advice = "correct the metric's name, or give the split what the metric is of"
            yield Remark("warning", pattern, None, None, message, advice)


def class_figures(history: History) -> Iterator[tuple[str, float, float]]:
    """Yield name, IoU and accuracy of each class; NaN where the split does not hold it."""
    values = history.evaluated[-1].values if history.evaluated else {}
    for name in history.classes:
        iou, accuracy = (values.get(f"val/{what}/{name}", math.nan) for what in ("iou", "accuracy"))
        yield name, iou, accuracy


def is_untold(history: History, name: str) -> bool:
    """Whether a class has no recall although others have one: the split does not hold it."""
    values = history.evaluated[-1].values if history.evaluated else {}
    told = [key for key in values if key.startswith("val/accuracy/")]
    return bool(told) and f"val/accuracy/{name}" not in told


def worst_of(event: Evaluated, pattern: str, sign: float) -> tuple[str, float] | None:
    """Return the metric that is farthest from a bound it should exceed (sign 1) or not (-1)."""
    found = [
        (name, value)
        for name, value in event.values.items()
        if fnmatchcase(name, pattern) and not math.isnan(value)
    ]
    return min(found, key=lambda each: sign * each[1], default=None)


def backwards(history: History, metric: str) -> Iterator[tuple[float, float]]:
    """Yield share of the training and finite value, the latest first."""
    is_evaluated = history.evaluated and metric in history.evaluated[-1].values
    events: Sequence[Stepped | Evaluated] = history.evaluated if is_evaluated else history.stepped
    if events:
        # The plan's length is not told, but how far it is now.
        share_of_a_step = history.progress.fraction / max(_now(history).step, 1)
        for event in reversed(events):
            value = event.values.get(metric, math.nan)
            if math.isfinite(value):
                yield event.step * share_of_a_step, value


def curve(history: History, metric: str) -> list[tuple[float, float]]:
    """Return share of the training and finite value, the earliest first."""
    return [*backwards(history, metric)][::-1]
