"""Health rules of how metrics go over the training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.contracts import HealthRule, History
from runner.errors import Problem, RecipeError
from runner.registry import health
from runner.rules import Remark, curve, rule, worst_of

if TYPE_CHECKING:
    from runner.events import Level

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


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

    from statistics import fmean

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
