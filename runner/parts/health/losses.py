"""Health rules of losses and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice, takewhile
from typing import Annotated

from pydantic import Field

from runner.contracts import HealthRule, History
from runner.registry import health
from runner.rules import Remark, backwards, curve, rule

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]


@health.register
def loss_falling(
    *,
    window: Annotated[float, Field(gt=0, le=0.5)],
    good_drop: Share,
    warning_rise: NotNegative,
    metric: str = "train/loss",
) -> HealthRule:
    """The loss falls: good. It rises: warning.

    Args:
        window: share of the training whose mean is compared with that of the share before it.
        good_drop: relative drop above which it is good.
        warning_rise: relative rise above which it is a warning.
        metric: the loss.
    """
    from statistics import fmean

    advice = "lower the learning rate, or lengthen its warm-up"

    def judge(history: History) -> Iterator[Remark]:
        end = next(backwards(history, metric), (0.0, 0.0))[0]
        values = takewhile(lambda pair: pair[0] > end - 2 * window, backwards(history, metric))
        both = [*values]
        recent = [value for at, value in both if at > end - window]
        before = [value for _, value in both[len(recent) :]]
        if end < 2 * window or not before or not (old := fmean(before)):
            return
        rise = (fmean(recent) - old) / abs(old)
        message = f"{metric} went from {old:.4g} to {fmean(recent):.4g} ({rise:+.1%})"
        if -rise > good_drop:
            yield Remark("good", metric, rise, -good_drop, message)
        elif rise > warning_rise:
            yield Remark("warning", metric, rise, warning_rise, message, advice)

    return rule("loss_falling", judge, metric)


@health.register
def high_loss(
    *,
    times_first: Annotated[float, Field(gt=1)],
    metric: str = "train/loss",
    grace: Share = 0.0,
    stops: bool = False,
) -> HealthRule:
    """The loss is far above what it began with: critical.

    Args:
        times_first: multiple of the first value that is logged.
        metric: the loss.
        grace: share of the training in which nothing is said.
        stops: whether it ends the training.
    """
    advice = "lower the learning rate, clip the gradient, or look at the batch's masks"

    def judge(history: History) -> Iterator[Remark]:
        series = curve(history, metric)
        if not series or history.progress.fraction < grace:
            return
        first, now = series[0][1], series[-1][1]
        if first > 0 and now > times_first * first:
            message = f"{metric} {now:.4g} is above {times_first:g} times its first, {first:.4g}"
            yield Remark("critical", metric, now, times_first * first, message, advice, stops)

    return rule("high_loss", judge, metric)


@health.register
def gradient_norm(
    *,
    exploding: Annotated[float, Field(gt=1)],
    vanishing: Annotated[float, Field(gt=0, lt=1)],
    window: Annotated[int, Field(ge=3)] = 20,
) -> HealthRule:
    """The gradient's norm leaves its running median: warning.

    Args:
        exploding: multiple of the median above which it explodes.
        vanishing: multiple of the median below which it vanishes.
        window: logging steps that the median is taken over; nothing is said before.
    """
    from statistics import median

    def judge(history: History) -> Iterator[Remark]:
        names = history.stepped[-1].values if history.stepped else ()
        for name in (each for each in names if fnmatchcase(each, "train/grad_norm*")):
            # What is not finite is the loop's to report.
            values = [value for _, value in islice(backwards(history, name), window + 1)]
            if len(values) <= window:
                continue
            now, middle = values[0], median(values[1:])
            figures = f"{name} {now:.3g} against a median of {middle:.3g}: "
            if now > exploding * middle:
                message = f"{figures}more than {exploding:g} times"
                advice = "lower the learning rate, or clip the norm"
                yield Remark("warning", name, now, exploding * middle, message, advice)
            elif now < vanishing * middle:
                message = f"{figures}less than {vanishing:g} times"
                advice = "look for a term of the loss that is saturated, clamped or empty"
                yield Remark("warning", name, now, vanishing * middle, message, advice)

    return rule("gradient_norm", judge, "train/grad_norm*")


@health.register
def loss_below(
    *,
    below: float,
    by_epoch: Annotated[float, Field(gt=0)],
    metric: str = "train/loss",
) -> HealthRule:
    """The loss was low enough early enough: good. Not by then: warning.

    Args:
        below: what the loss must once have been under.
        by_epoch: epochs within which; nothing is wrong before.
        metric: the loss; of no use to compare where terms or weights differ.
    """
    advice = "look at the learning rate, then at what the loss weighs"

    def judge(history: History) -> Iterator[Remark]:
        values = [value for _, value in curve(history, metric)]
        if not values:
            return
        lowest = min(values)
        if lowest < below:
            yield Remark("good", metric, lowest, below, f"{metric} reached {lowest:.4g}")
        elif history.progress.epoch >= by_epoch:
            message = f"{metric} is still not below {below:g} after {by_epoch:g} epochs"
            yield Remark("warning", metric, lowest, below, message, advice)

    return rule("loss_below", judge, metric)


@health.register
def loss_improves(
    *,
    by: Annotated[float, Field(gt=0)],
    within_epochs: Annotated[float, Field(gt=0)],
    metric: str = "val/loss",
) -> HealthRule:
    """The loss fell by enough within so many epochs: good. Not within them: warning.

    Args:
        by: how far the lowest value must lie below the first.
        within_epochs: counted from the beginning; nothing is wrong before.
        metric: the loss; of no use to compare where terms or weights differ.
    """
    advice = "look at the labels, then at the learning rate"

    def judge(history: History) -> Iterator[Remark]:
        done = history.progress
        last_share = within_epochs * done.fraction / done.epoch if done.epoch else 1.0
        values = [value for at, value in curve(history, metric) if at <= last_share]
        if not values:
            return
        drop = values[0] - min(values)
        figures = f"{metric} fell by {drop:.4g} from {values[0]:.4g}"
        if drop >= by:
            yield Remark("good", metric, drop, by, figures)
        elif done.epoch >= within_epochs:
            message = f"{figures} within {within_epochs:g} epochs, less than {by:g}"
            yield Remark("warning", metric, drop, by, message, advice)

    return rule("loss_improves", judge, metric)
