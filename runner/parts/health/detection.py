"""Health rules of a detection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.counting import number_of
from runner.errors import Problem, RecipeError
from runner.registry import Strict, health
from runner.rules import Remark, curve, rule

if TYPE_CHECKING:
    from runner.contracts import HealthRule, History

Share = Annotated[float, Field(ge=0, le=1)]
SHARE_OF_CLASS = "val/predicted_share/"


class Milestone(Strict):
    """What a metric should have reached at an epoch."""

    epoch: float = Field(gt=0, description="of the plan as written")
    min: float = Field(description="below it: warning")
    good: float | None = Field(default=None, description="from it on: good")
    excellent: float | None = Field(default=None, description="from it on: excellent")


@health.register
def milestones(*, metric: str, at: Annotated[list[Milestone], Field(min_length=1)]) -> HealthRule:
    """A metric has reached what it should have by an epoch: good. It has not: warning.

    Args:
        metric: the larger the better.
        at: epochs in rising order, each with min and, where wanted, good and excellent.
    """
    epochs = [each.epoch for each in at]
    if epochs != sorted(set(epochs)):
        message = f"epochs must rise, but are {epochs}; write them in order"
        raise RecipeError(Problem("", "milestones.at", message))
    advice = "look at the assignment of positives and negatives, then at the learning rate"

    def judge(history: History) -> Iterator[Remark]:
        values = history.evaluated[-1].values if history.evaluated else {}
        due = [each for each in at if each.epoch <= history.progress.epoch + 1e-6]
        if not due or metric not in values:
            return
        mark, value = due[-1], values[metric]
        figures = f"{metric} is {value:.3g} after epoch {mark.epoch:g}"
        subject = f"{metric}@{mark.epoch:g}"
        if value < mark.min:
            message = f"{figures}, below {mark.min:g}"
            yield Remark("warning", subject, value, mark.min, message, advice)
        elif mark.excellent is not None and value >= mark.excellent:
            yield Remark("good", subject, value, mark.excellent, f"{figures}: excellent")
        elif mark.good is not None and value >= mark.good:
            yield Remark("good", subject, value, mark.good, f"{figures}: good")

    return rule("milestones", judge, metric)


@health.register
def rising_in_a_row(
    *, times: Annotated[int, Field(ge=1)] = 2, metric: str = "val/loss"
) -> HealthRule:
    """The loss was higher at each of the last evaluations than at the one before: warning.

    Args:
        times: rises in a row.
        metric: the loss.
    """
    advice = "stop: look at what the loss matches before the learning rate"

    def judge(history: History) -> Iterator[Remark]:
        values = [value for _, value in curve(history, metric)][-times - 1 :]
        is_rising = all(now > before for before, now in zip(values, values[1:], strict=False))
        if len(values) > times and is_rising:
            told = ", ".join(f"{value:.4g}" for value in values)
            message = f"{metric} rose {number_of(times, 'times')} in a row: {told}"
            yield Remark("warning", metric, values[-1], values[0], message, advice)

    return rule("rising_in_a_row", judge, metric)


@health.register
def one_class_only(*, share: Share = 0.99, grace: Share = 0.1) -> HealthRule:
    """Nearly all predicted boxes are of one class of several: warning.

    Args:
        share: of the predicted boxes above which it is a warning.
        grace: share of the training in which nothing is said.
    """
    advice = "draw the other classes more often, or weigh the classes' loss more"

    def judge(history: History) -> Iterator[Remark]:
        if not history.evaluated or history.progress.fraction < grace or len(history.classes) < 2:
            return
        values = history.evaluated[-1].values
        for name in history.classes:
            got = values.get(f"{SHARE_OF_CLASS}{name}", 0.0)
            if got > share:
                message = f"{got:.1%} of the predicted boxes are {name}"
                yield Remark("warning", name, got, share, message, advice)

    return rule("one_class_only", judge, f"{SHARE_OF_CLASS}*")


@health.register
def box_at_every_place(
    *, share: Share = 0.5, grace: Share = 0.1, metric: str = "val/places_with_box"
) -> HealthRule:
    """Most places of the grid keep a box, as if every one held an object: warning.

    Args:
        share: of the places with a box of a score that counts, from which it is a warning.
        grace: share of the training in which nothing is said.
        metric: that share.
    """
    advice = "let the places without an object learn that there is none: negatives in the loss"

    def judge(history: History) -> Iterator[Remark]:
        values = history.evaluated[-1].values if history.evaluated else {}
        if metric not in values or history.progress.fraction < grace:
            return
        if (value := values[metric]) >= share:
            message = f"{value:.0%} of all places keep a box before suppression"
            yield Remark("warning", metric, value, share, message, advice)

    return rule("box_at_every_place", judge, metric)


@health.register
def no_positives(*, metric: str = "train/loss/box", grace: Share = 0.0) -> HealthRule:
    """No prediction is matched with any object, so that no box is learned: critical.

    Args:
        metric: the boxes' term, which is exactly 0 then.
        grace: share of the training in which nothing is said.
    """
    advice = "lower the threshold of the match, or look whether the boxes are within the images"

    def judge(history: History) -> Iterator[Remark]:
        values = history.stepped[-1].values if history.stepped else {}
        if history.progress.fraction >= grace and values.get(metric) == 0:
            message = f"{metric} is 0: no prediction is matched with an object"
            yield Remark("critical", metric, 0.0, 0.0, message, advice)

    return rule("no_positives", judge, metric)
