"""Health rules: what good, warning and critical look like while training.

A rule says the same thing for as long as it is true; the loop passes on what changed. When a
warning is over, the rule says so once with a good finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice, takewhile
from statistics import fmean, median
from typing import Annotated

from pydantic import Field

from runner.contracts import HealthRule, History
from runner.errors import Problem, RecipeError
from runner.events import Level
from runner.registry import health
from runner.rules import Remark, backwards, class_figures, curve, rule, worst_of

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


@health.register
def dead_class(
    *, grace: Share, good_iou: Share | None = None, at_most: Share = 0.0, stops: bool = False
) -> HealthRule:
    """A class that is never predicted: critical. Good where its IoU is high enough.

    Args:
        grace: share of the training in which nothing is said of a dead class.
        good_iou: IoU above which a class is called good; without one none is.
        at_most: IoU or accuracy up to which a class counts as dead.
        stops: whether a dead class ends the training.
    """
    advice = "weight its loss by its share of the pixels, or draw crops that hold it"

    def judge(history: History) -> Iterator[Remark]:
        for name, iou, accuracy in class_figures(history):
            figures = {"IoU": iou, "accuracy": accuracy}
            dead = {what: value for what, value in figures.items() if value <= at_most}
            if dead and history.progress.fraction >= grace:
                what, value = min(dead.items(), key=lambda figure: figure[1])
                message = f"class {name}: {what} {value:.3g} is not above {at_most:g}"
                yield Remark("critical", name, value, at_most, message, advice, stops)
            elif good_iou is not None and iou > good_iou:
                message = f"class {name}: IoU {iou:.3g} is above {good_iou:g}"
                yield Remark("good", name, iou, good_iou, message)

    return rule("dead_class", judge, "val/iou/*", "val/accuracy/*")


@health.register
def over_weighted_class(*, recall: Share, iou: Share, grace: Share = 0.0) -> HealthRule:
    """A class that is predicted where it is not, for the sake of its recall: warning.

    Args:
        recall: accuracy of the class above which the rule looks at it.
        iou: IoU below which the class then counts as over-weighted.
        grace: share of the training in which nothing is said.
    """
    advice = "lower the weight of its loss, or cap it"

    def judge(history: History) -> Iterator[Remark]:
        if history.progress.fraction < grace:
            return
        for name, got_iou, accuracy in class_figures(history):
            if accuracy > recall and got_iou < iou:
                message = (
                    f"class {name}: recall {accuracy:.3g} is above {recall:g} while IoU "
                    f"{got_iou:.3g} is below {iou:g}"
                )
                yield Remark("warning", name, got_iou, iou, message, advice)

    return rule("over_weighted_class", judge, "val/iou/*", "val/accuracy/*")


@health.register
def goal(
    *, above: dict[str, float] | None = None, below: dict[str, float] | None = None
) -> HealthRule:
    """Metrics are where they should be: good. A warning where they were and no longer are.

    Args:
        above: metric, or a pattern such as ``val/iou/*``, and what every such metric must exceed.
        below: metric or pattern, and what every such metric must stay under.
    """
    bounds = [(pattern, bound, 1.0) for pattern, bound in (above or {}).items()]
    bounds += [(pattern, bound, -1.0) for pattern, bound in (below or {}).items()]
    if not bounds:
        raise RecipeError(Problem("", "goal", "has no goal; write above: {val/miou: 0.6}"))

    def judge(history: History) -> Iterator[Remark]:
        for pattern, bound, sign in bounds:
            events = reversed(history.evaluated)
            latest_first = ((event.step, worst_of(event, pattern, sign)) for event in events)
            _, worst = next(latest_first, (0, None))
            if worst is None:
                continue
            name, value = worst
            side = "above" if sign > 0 else "below"
            if sign * value > sign * bound:
                message = f"{name} {value:.4g} is {side} {bound:g}"
                yield Remark("good", pattern, value, bound, message)
                continue
            reached = (step for step, was in latest_first if was and sign * was[1] > sign * bound)
            if (step := next(reached, None)) is not None:
                message = f"{name} {value:.4g} is no longer {side} {bound:g}, as at step {step}"
                advice = "lower the learning rate towards the end, or take the best checkpoint"
                yield Remark("warning", pattern, value, bound, message, advice)

    return rule("goal", judge, *(pattern for pattern, _, _ in bounds))


@health.register
def plateau(
    *,
    window: Annotated[float, Field(gt=0, lt=1)],
    level: float | None = None,
    min_delta: NotNegative = 0.0,
    stops: bool = False,
) -> HealthRule:
    """The monitored metric stands still before it is good enough: warning.

    Args:
        window: share of the training within which it has to improve.
        level: value from which on it may stand still; without one it never may.
        min_delta: what an improvement must exceed.
        stops: whether standing still ends the training; it is critical then.
    """
    advice = "look at the learning rate, then at what the loss weighs"

    def judge(history: History) -> Iterator[Remark]:
        name, sign = history.monitor, 1.0 if history.mode == "max" else -1.0
        series = [(at, sign * value) for at, value in curve(history, name)]
        # The window ends with the latest value: what the next one will be is not known yet.
        old = [value for at, value in series if at <= series[-1][0] - window]
        recent = [value for _, value in series[len(old) :]]
        if not old or max(recent) > max(old) + min_delta:
            return
        best = max(old + recent)
        if level is None or best < sign * level:
            message = (
                f"{name} stands at {sign * best:.4g}: it has not improved by more than "
                f"{min_delta:g} in the last {window:.0%} of the training"
            )
            how_bad: Level = "critical" if stops else "warning"
            yield Remark(how_bad, name, sign * best, level, message, advice, stops)

    return rule("plateau", judge)


@health.register
def overfit_gap(
    *,
    warning: Positive,
    critical: Positive | None = None,
    good: Positive | None = None,
    train: str = "train/loss",
    val: str = "val/loss",
    larger_is_better: bool = False,
    grace: Share = 0.0,
) -> HealthRule:
    """Validation is worse than training by too much.

    Args:
        warning: gap above which it is a warning.
        critical: gap above which it is critical.
        good: gap below which it is good.
        train: metric of the training; its mean since the evaluation before counts.
        val: metric of the validation.
        larger_is_better: whether the two are scores and not losses.
        grace: share of the training in which nothing is said.
    """
    levels = [each for each in (good, warning, critical) if each is not None]
    if levels != sorted(levels):
        message = f"gaps must rise from good to warning to critical, but are {levels}"
        raise RecipeError(Problem("", "overfit_gap", message))

    def judge(history: History) -> Iterator[Remark]:
        validated = curve(history, val)
        if not validated or history.progress.fraction < grace:
            return
        since = validated[-2][0] if len(validated) > 1 else -1.0
        now = validated[-1][0]
        trained = [value for at, value in curve(history, train) if since < at <= now]
        if not trained:
            return
        mean, value = fmean(trained), validated[-1][1]
        gap = mean - value if larger_is_better else value - mean
        figures = f"{val} {value:.4g} against {train} {mean:.4g}: the gap {gap:.3g}"
        advice = "augment or regularise more, or stop earlier"
        if critical is not None and gap > critical:
            message = f"{figures} is above {critical:g}"
            yield Remark("critical", val, gap, critical, message, advice)
        elif gap > warning:
            yield Remark("warning", val, gap, warning, f"{figures} is above {warning:g}", advice)
        elif good is not None and gap < good:
            yield Remark("good", val, gap, good, f"{figures} is below {good:g}")

    return rule("overfit_gap", judge, train, val)


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
