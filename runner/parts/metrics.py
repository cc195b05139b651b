"""Metrics that a recipe can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.registry import metrics

if TYPE_CHECKING:
    from runner.contracts import DataSpec, Metric

Score = Annotated[float, Field(ge=0, le=1)]
RateName = Annotated[str, Field(pattern=r"^\w+$")]


@metrics.register
def confusion_matrix(
    spec: DataSpec,
    /,
    *,
    rates: dict[RateName, tuple[str, str]] = {},  # noqa: B006
    means: dict[RateName, Annotated[tuple[str, ...], Field(min_length=1)]] = {},  # noqa: B006
) -> Metric:
    """IoU, accuracy (recall) and precision of each class, mean IoU and pixel accuracy.

    Args:
        rates: name to [true class, predicted class]: the share so confused.
        means: name to classes: their mean IoU, as miou/<name>.
    """
    from runner.errors import Problem, RecipeError
    from runner.nets.class_weights import class_groups
    from runner.nets.confusion import SUMMARIES, ConfusionMatrix

    taken = [name for name in rates if name in SUMMARIES]
    if taken:
        message = "this metric reports another figure under this name; choose another"
        raise RecipeError([Problem("", f"rates.{name}", message) for name in taken])
    return ConfusionMatrix(
        spec.classes,
        class_groups(rates, spec, key="rates"),
        class_groups(means, spec, key="means"),
    )


@metrics.register
def binary_overlap(spec: DataSpec, /, *, target: str = "mask") -> Metric:
    """Dice and IoU of the foreground, its predicted and labelled shares, spread of probability.

    Args:
        target: what the data set gives that predictions are compared with.
    """
    from runner.nets.binary_losses import check_is_binary
    from runner.nets.binary_overlap import BinaryOverlap

    check_is_binary(spec, "binary_overlap")
    return BinaryOverlap(target)


@metrics.register
def surface_score(
    spec: DataSpec,
    /,
    *,
    target: str = "mask",
    tolerance_voxels: Annotated[float, Field(ge=0)] = 2.0,
    variation_factor: Annotated[float, Field(ge=0)] = 0.3,
) -> Metric:
    """Score of the Vesuvius surface competition: surface Dice, topology, variation of information.

    Args:
        target: what the data set gives that predictions are compared with.
        tolerance_voxels: distance within which surfaces agree.
        variation_factor: of the variation of information, in 1 / (1 + factor * variation).
    """
    from runner.errors import Problem, RecipeError
    from runner.nets.binary_losses import check_is_binary
    from runner.nets.surface_score import SurfaceScore

    check_is_binary(spec, "surface_score")
    if spec.dimensions != 3:
        message = "surface_score is of volumes, but the data are images; use binary_overlap"
        raise RecipeError(Problem("", "name", message))
    return SurfaceScore(target, tolerance_voxels, variation_factor)


@metrics.register
def average_precision(
    spec: DataSpec,
    /,
    *,
    score_threshold: Score = 0.001,
    also_at: tuple[Score, ...] = (),
    count_from: Score = 0.25,
) -> Metric:
    """COCO's mAP, mAP50 and mAP75, AP of each class, and how many boxes were predicted.

    Args:
        score_threshold: boxes below it do not count; one for display, such as 0.25, cuts the
            precision-recall curve short and with it the mAP.
        also_at: other thresholds at which mAP50 is computed too, as ``map50@0.25``.
        count_from: boxes, before suppression and after, are counted from this score on.
    """
    from runner.nets.box_precision import AveragePrecision

    return AveragePrecision(
        spec.classes, score_threshold=score_threshold, also_at=also_at, count_from=count_from
    )


@metrics.register
def pointing(
    _: DataSpec,
    /,
    *,
    pck_px: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = [5, 10, 20],  # noqa: B006
) -> Metric:
    """Pixel error (median, mean, PCK), the done signal (AUROC, recall, F1), and the counts' MAE.

    Args:
        pck_px: distances, in pixels of the image, within which a point counts as correct.
    """
    from runner.nets.pointing_score import PointingScore

    return PointingScore(pck_px)
