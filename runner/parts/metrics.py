"""Metrics that a recipe can name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from runner.by_class import GROUPS
from runner.registry import metrics

if TYPE_CHECKING:
    from runner.contracts import DataSpec, Metric

Score = Annotated[float, Field(ge=0, le=1)]
GroupName = Annotated[str, Field(pattern=r"^\w+$")]
SUMMARIES = ("miou", "pixel_accuracy")
"""A confusion matrix's figures that are of no single class."""


def _free(name: str) -> str:
    if name in SUMMARIES:
        message = "this metric reports another figure under this name; choose another"
        raise PydanticCustomError("taken", "{reason}", {"reason": message})
    return name


RateName = Annotated[GroupName, AfterValidator(_free)]
Means = dict[GroupName, Annotated[tuple[str, ...], Field(min_length=1)]]


@metrics.register
def confusion_matrix(
    spec: DataSpec,
    /,
    *,
    rates: Annotated[dict[RateName, tuple[str, str]], GROUPS] = {},  # noqa: B006
    means: Annotated[Means, GROUPS] = {},  # noqa: B006
) -> Metric:
    """IoU, accuracy (recall) and precision of each class, mean IoU and pixel accuracy.

    Args:
        rates: name to [true class, predicted class]: the share so confused.
        means: name to classes: their mean IoU, as miou/<name>.
    """
    from runner.nets.class_weights import class_groups
    from runner.nets.confusion import ConfusionMatrix

    return ConfusionMatrix(
        spec.classes,
        class_groups(rates, spec, key="rates"),
        class_groups(means, spec, key="means"),
    )


@metrics.foretells(confusion_matrix)
def _of_confusions(params: Any, classes: Sequence[str]) -> list[str]:
    kinds = ("iou", "accuracy", "precision")
    of_classes = [f"{kind}/{name}" for kind in kinds for name in classes]
    return [*of_classes, *SUMMARIES, *(f"miou/{name}" for name in params.means), *params.rates]


@metrics.register
def binary_overlap(spec: DataSpec, /, *, target: str = "mask") -> Metric:
    """Dice and IoU of the foreground, its predicted and labelled shares, spread of probability.

    Args:
        target: what the data set gives that predictions are compared with.
    """
    from runner.nets.binary.losses import check_is_binary
    from runner.nets.binary.overlap import BinaryOverlap

    check_is_binary(spec, "binary_overlap")
    return BinaryOverlap(target)


@metrics.foretells(binary_overlap)
def _of_overlap(_params: Any, _classes: Sequence[str]) -> list[str]:
    shares = ("predicted", "labelled", "everywhere")
    return ["dice", "iou", "probability_std", *(f"foreground_share_{each}" for each in shares)]


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
    from runner.nets.binary.losses import check_is_binary
    from runner.nets.binary.surface_score import SurfaceScore

    check_is_binary(spec, "surface_score")
    if spec.dimensions != 3:
        message = "surface_score is of volumes, but the data are images; use binary_overlap"
        raise RecipeError(Problem("", "name", message))
    return SurfaceScore(target, tolerance_voxels, variation_factor)


@metrics.foretells(surface_score)
def _of_surfaces(_params: Any, _classes: Sequence[str]) -> list[str]:
    return ["surface_dice", "topo", "voi", "voi_score", "score"]


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
    from runner.nets.detection.box_precision import AveragePrecision

    return AveragePrecision(
        spec.classes, score_threshold=score_threshold, also_at=also_at, count_from=count_from
    )


@metrics.foretells(average_precision)
def _of_boxes(params: Any, classes: Sequence[str]) -> list[str]:
    kinds = ("ap", "ap50", "predicted_share")
    of_classes = [f"{kind}/{name}" for kind in kinds for name in classes]
    also = [f"map50@{threshold:g}" for threshold in params.also_at]
    boxes = ("boxes_per_image", "boxes_per_image_kept", "boxes_per_image_true")
    return ["map", "map50", "map75", *also, *boxes, "places_with_box", *of_classes]


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
    from runner.nets.pointing.score import PointingScore

    return PointingScore(pck_px)


@metrics.foretells(pointing)
def _of_points(params: Any, _classes: Sequence[str]) -> list[str]:
    done = ("share", "largest", "recall", "f1", "false_positive", "auroc")
    return [
        *("error_px/median", "error_px/mean", "mse"),
        *(f"pck@{limit:g}" for limit in params.pck_px),
        *(f"done/{name}" for name in done),
        *("count_mae", "count_bias", "count_mae_of_mean"),
    ]
