"""Losses of detections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.registry import Strict, losses

if TYPE_CHECKING:
    from runner.contracts import DataSpec, Loss

NotNegative = Annotated[float, Field(ge=0)]


class MatchRamp(Strict):
    """An overlap that rises from epoch to epoch."""

    start: Annotated[float, Field(ge=-1, le=1, description="in the first epoch")]
    end: Annotated[float, Field(ge=-1, le=1, description="from the last epoch on")]
    epochs: Annotated[float, Field(gt=0, description="from start to end")]


@losses.register
def overlap_matched(
    _: DataSpec,
    /,
    *,
    match: MatchRamp | None,
    box_weight: NotNegative = 7.5,
    class_weight: NotNegative = 0.5,
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = 0.25,
    gamma: NotNegative = 2.0,
    negatives: bool = True,
) -> Loss:
    """GIoU and focal loss of every predicted box that overlaps an object enough.

    Args:
        match: start, end and epochs of the GIoU above which a prediction is matched; where an
            image has none such, its five nearest are; null matches the places in the middle of
            each object, whatever is predicted there.
        box_weight: of the sum of 1 - GIoU, divided by the number matched.
        class_weight: of the classes' sum, divided by the number matched.
        alpha: weight of a true class in the focal loss, 1 - alpha of a wrong one; null for 1.
        gamma: exponent of the focal loss; 0 is cross-entropy.
        negatives: whether what is not matched learns that there is nothing.
    """
    from runner.nets.detection.losses import OverlapMatched, Ramp

    ramp = None if match is None else Ramp(match.start, match.end, match.epochs)
    return OverlapMatched(
        threshold=ramp, box_weight=box_weight, class_weight=class_weight,
        alpha=alpha, gamma=gamma, negatives=negatives,
    )  # fmt: skip


@losses.register
def task_aligned(
    _: DataSpec,
    /,
    *,
    box_weight: NotNegative = 7.5,
    class_weight: NotNegative = 0.5,
    dfl_weight: NotNegative = 1.5,
    top: Annotated[int, Field(ge=1)] = 10,
    alpha: NotNegative = 0.5,
    beta: NotNegative = 6.0,
) -> Loss:
    """YOLOv8's: CIoU, distribution focal loss, cross-entropy over all places of the grids.

    Args:
        box_weight: of 1 - CIoU.
        class_weight: of the cross-entropy.
        dfl_weight: of the distribution focal loss.
        top: places that learn an object.
        alpha: exponent of the score in choosing them.
        beta: exponent of the overlap in choosing them.
    """
    from runner.nets.detection.losses import TaskAligned

    return TaskAligned(
        box_weight=box_weight, class_weight=class_weight, dfl_weight=dfl_weight,
        top=top, alpha=alpha, beta=beta,
    )  # fmt: skip
