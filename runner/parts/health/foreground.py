"""Health rules of one class against the rest: what a model that learns nothing looks like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.errors import Problem, RecipeError
from runner.registry import health
from runner.rules import Remark, rule

if TYPE_CHECKING:
    from runner.contracts import HealthRule, History

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

PREDICTED = "val/foreground_share_predicted"
LABELLED = "val/foreground_share_labelled"


@health.register
def foreground_ratio(
    *,
    low: Positive = 0.5,
    high: Positive = 2.0,
    grace: Share = 0.0,
    predicted: str = PREDICTED,
    labelled: str = LABELLED,
) -> HealthRule:
    """Far more or far less foreground is predicted than is labelled: warning.

    Args:
        low: predicted over labelled share below which it is a warning.
        high: predicted over labelled share above which it is a warning.
        grace: share of the training in which nothing is said.
        predicted: metric of the predicted share.
        labelled: metric of the labelled share.
    """
    if low >= high:
        message = f"low must be below high, but {low:g} is not below {high:g}; correct one"
        raise RecipeError(Problem("", "foreground_ratio", message))
    advice = "look at which labels count as foreground, then at the weights of the classes"

    def judge(history: History) -> Iterator[Remark]:
        latest = _latest(history, grace)
        if predicted not in latest or not latest.get(labelled):
            return
        ratio = latest[predicted] / latest[labelled]
        figures = (
            f"predicted foreground is {latest[predicted]:.1%}, labelled {latest[labelled]:.1%}: "
            f"{ratio:.3g} times"
        )
        if ratio < low:
            message = f"{figures}, below {low:g}"
            yield Remark("warning", predicted, ratio, low, message, advice)
        elif ratio > high:
            message = f"{figures}, above {high:g}"
            yield Remark("warning", predicted, ratio, high, message, advice)

    return rule("foreground_ratio", judge, predicted, labelled)


@health.register
def prediction_variance(
    *,
    min_std: Positive = 0.02,
    grace: Share = 0.0,
    metric: str = "val/probability_std",
) -> HealthRule:
    """The model predicts nearly the same everywhere: warning.

    Args:
        min_std: standard deviation of the predicted probability below which it is a warning.
        grace: share of the training in which nothing is said.
        metric: that standard deviation.
    """
    advice = "look at the labels and at the learning rate: the prediction hardly sees the image"

    def judge(history: History) -> Iterator[Remark]:
        value = _latest(history, grace).get(metric)
        if value is not None and value < min_std:
            message = f"{metric} {value:.3g} is below {min_std:g}: all voxels are predicted alike"
            yield Remark("warning", metric, value, min_std, message, advice)

    return rule("prediction_variance", judge, metric)


@health.register
def constant_predictor(
    *,
    margin: NotNegative = 0.02,
    grace: Share = 0.0,
    dice: str = "val/dice",
    labelled: str = LABELLED,
    stops: bool = False,
) -> HealthRule:
    """Dice is no better than that of the best constant prediction: critical. Else it is good.

    The best constant prediction is foreground everywhere: its Dice is 2 f / (1 + f) where a
    share f is labelled foreground.

    Args:
        margin: by which Dice must exceed it.
        grace: share of the training in which nothing is said.
        dice: metric of the foreground's Dice.
        labelled: metric of the labelled share.
        stops: whether it ends the training.
    """
    advice = "look at which labels count as foreground; a falling loss alone proves nothing here"

    def judge(history: History) -> Iterator[Remark]:
        latest = _latest(history, grace)
        if dice not in latest or labelled not in latest:
            return
        value, share = latest[dice], latest[labelled]
        constant = 2 * share / (1 + share)
        against = f"{dice} {value:.3g} against {constant:.3g} for foreground everywhere"
        if value > constant + margin:
            yield Remark("good", dice, value, constant, f"{against}: better")
        else:
            message = f"{against}: no better than a constant prediction"
            yield Remark("critical", dice, value, constant, message, advice, stops)

    return rule("constant_predictor", judge, dice, labelled)


def _latest(history: History, grace: float) -> dict[str, float]:
    """Return the last evaluation's figures; none before the grace is over."""
    if not history.evaluated or history.progress.fraction < grace:
        return {}
    return dict(history.evaluated[-1].values)
