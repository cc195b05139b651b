"""Health rules of where a training should be by when."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.errors import Problem, RecipeError
from runner.registry import health
from runner.rules import Remark, curve, rule

if TYPE_CHECKING:
    from runner.contracts import HealthRule, History

Share = Annotated[float, Field(ge=0, le=1)]
Milestone = tuple[Share, float]


@health.register
def phases(
    *, metric: str, below: Annotated[tuple[Milestone, ...], Field(min_length=1)]
) -> HealthRule:
    """A metric falls as fast as it should: good. Late: warning.

    Args:
        metric: what should fall, such as ``val/error_px/median``.
        below: [share of the training, bound]: from there on its best value must be under it.
    """
    shares = [share for share, _ in below]
    bounds = [bound for _, bound in below]
    rises = any(a >= b for a, b in pairwise(shares)) or any(a < b for a, b in pairwise(bounds))
    if rises:
        message = (
            "shares of the training must rise and bounds fall from one to the next; correct them"
        )
        raise RecipeError(Problem("", "phases", message))
    advice = "look at the learning rate, then at what the loss makes of large errors"

    def judge(history: History) -> Iterator[Remark]:
        passed = [each for each in below if each[0] <= history.progress.fraction]
        values = [value for _, value in curve(history, metric)]
        if not passed or not values:
            return
        (share, bound), best = passed[-1], min(values)
        if best < bound:
            message = f"{metric} reached {best:.4g}, below {bound:g}"
            yield Remark("good", metric, best, bound, message)
        else:
            message = f"{metric} is still at {best:.4g}, not below {bound:g}, after {share:.0%}"
            yield Remark("warning", metric, best, bound, message, advice)

    return rule("phases", judge, metric)


@health.register
def best_long_past(*, window: Annotated[float, Field(gt=0, lt=1)]) -> HealthRule:
    """The monitored metric was best long ago, and is worse now: warning.

    Args:
        window: share of the training within which the best should lie.
    """
    advice = "take the best checkpoint, and stop earlier: train.early_stopping"

    def judge(history: History) -> Iterator[Remark]:
        sign = 1.0 if history.mode == "max" else -1.0
        series = curve(history, history.monitor)
        if not series:
            return
        at, best = max(series, key=lambda each: sign * each[1])
        now, value = series[-1]
        # A series that stands still has its best in every place: see plateau.
        if now - at > window and value != best:
            message = (
                f"{history.monitor} was best ({best:.4g}) at {at:.0%} of the training; "
                f"now it is {value:.4g}"
            )
            yield Remark("warning", history.monitor, now - at, window, message, advice)

    return rule("best_long_past", judge)
