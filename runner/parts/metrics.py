"""Metrics that a recipe can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runner.contracts import DataSpec, Metric
from runner.registry import metrics

RateName = Annotated[str, Field(pattern=r"^\w+$")]


@metrics.register
def confusion_matrix(
    spec: DataSpec,
    /,
    *,
    rates: dict[RateName, tuple[str, str]] = {},  # noqa: B006
) -> Metric:
    """IoU, accuracy (recall) and precision of each class, mean IoU and pixel accuracy.

    Args:
        rates: name to [true class, predicted class]: the share so confused.
    """
    from runner.errors import Problem, RecipeError
    from runner.nets.class_weights import class_pairs
    from runner.nets.confusion import SUMMARIES, ConfusionMatrix

    taken = [name for name in rates if name in SUMMARIES]
    if taken:
        message = "this metric reports another figure under this name; choose another"
        raise RecipeError([Problem("", f"rates.{name}", message) for name in taken])
    return ConfusionMatrix(spec.classes, class_pairs(rates, spec, key="rates"))
