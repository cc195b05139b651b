"""Health rules of learning from pseudo-labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.errors import Problem, RecipeError
from runner.registry import health
from runner.rules import Remark, curve, rule

if TYPE_CHECKING:
    from runner.contracts import HealthRule, History

Share = Annotated[float, Field(ge=0, le=1)]


@health.register
def accepted_share(
    *,
    good: Share,
    warning: Share,
    critical: Share,
    confirming: Share = 0.95,
    grace: Share = 0.0,
    metric: str = "train/pseudo/accepted",
) -> HealthRule:
    """So many unlabelled pixels are learned from: good. Hardly any, or nearly all: warning.

    Args:
        good: share of them above which it is good.
        warning: share below which it is a warning.
        critical: share below which it is critical.
        confirming: share above which it is a warning: a model that believes all it says is told
            nothing but what it says.
        grace: share of the training in which nothing is said.
        metric: that share, since the logging step before.
    """
    bounds = [critical, warning, good, confirming]
    if bounds != sorted(bounds):
        message = f"must rise: critical, warning, good, confirming, but are {bounds}; correct them"
        raise RecipeError(Problem("", "accepted_share", message))
    too_few = "lower the thresholds, or label more images"
    too_many = "raise the thresholds: what is believed must be likelier to be right than the model"

    def judge(history: History) -> Iterator[Remark]:
        series = curve(history, metric)
        if not series or history.progress.fraction < grace:
            return
        value = series[-1][1]
        message = f"{value:.2%} of the unlabelled pixels are learned from, "
        if value < critical:
            text = f"{message}below {critical:.2%}"
            yield Remark("critical", metric, value, critical, text, too_few)
        elif value < warning:
            text = f"{message}below {warning:.2%}"
            yield Remark("warning", metric, value, warning, text, too_few)
        elif value > confirming:
            text = f"{message}above {confirming:.2%}: the model confirms itself"
            yield Remark("warning", metric, value, confirming, text, too_many)
        elif value > good:
            yield Remark("good", metric, value, good, f"{message}above {good:.2%}")

    return rule("accepted_share", judge, metric)


@health.register
def drop_from_best(
    *,
    warning: Annotated[float, Field(gt=0)],
    critical: Annotated[float, Field(gt=0)] | None = None,
    stops: bool = False,
) -> HealthRule:
    """The monitored metric is worse than it was by too much: warning.

    Args:
        warning: distance from the best value, in the metric's unit, above which it is a warning.
        critical: distance above which it is critical; where left out that of the warning if it
            stops, and else none.
        stops: whether a critical one ends the training.
    """
    if critical is not None and critical < warning:
        message = f"critical {critical:g} is below warning {warning:g}; raise it"
        raise RecipeError(Problem("", "drop_from_best.critical", message))
    worst = warning if critical is None and stops else critical
    advice = "take the best checkpoint; look at what is learned from since then"

    def judge(history: History) -> Iterator[Remark]:
        sign = 1.0 if history.mode == "max" else -1.0
        values = [value for _, value in curve(history, history.monitor)]
        if not values:
            return
        best, now = max(values, key=lambda value: sign * value), values[-1]
        drop = sign * (best - now)
        message = f"{history.monitor} {now:.4g} is {drop:.3g} worse than its best, {best:.4g}"
        if worst is not None and drop > worst:
            yield Remark("critical", history.monitor, drop, worst, message, advice, stops)
        elif drop > warning:
            yield Remark("warning", history.monitor, drop, warning, message, advice)

    return rule("drop_from_best", judge)
