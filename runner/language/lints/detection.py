"""Lints of detectors."""

import math

from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Subject
from runner.registry import losses, metrics, models, tasks

_LOW = 0.01
"""A score below which a box hardly moves a precision-recall curve."""

_FAR = 6.0
"""An exponent of which no box is: exp(6) is 400 strides."""


@lint(
    reason="mAP ranks all boxes by score, so a threshold can only cut recall off",
    cure="0.001; task.params.display_score is the one for pictures",
)
def score_threshold_for_map(subject: Subject) -> Said:
    """A score threshold under mAP, where one for display does not belong."""
    scores = [
        (found.at("score_threshold"), found.params.score_threshold)
        for found in subject.parts(metrics, "average_precision")
    ]
    scores += [
        (found.at("min_score"), found.params.min_score)
        for found in subject.parts(tasks, "detection")
    ]
    for key, score in scores:
        if score > _LOW:
            yield key, f"boxes that score below {score:g} do not count"


@lint(
    reason="no place of the grid ever learns that there is nothing, so each keeps its box",
    cure="negatives: true",
)
def no_negatives(subject: Subject) -> Said:
    """A detector's loss of matched predictions alone."""
    for found in subject.parts(losses, "overlap_matched"):
        if not found.params.negatives:
            yield found.at("negatives"), "only predictions that match an object have a loss"


@lint(
    reason="all boxes of an object but one are false positives",
    cure="nms_iou: 0.7",
)
def no_suppression(subject: Subject) -> Said:
    """Predictions whose doubles are not suppressed."""
    for found in subject.parts(tasks, "detection"):
        if found.params.nms_iou is None:
            yield found.at("nms_iou"), "every place of the grid may box the same object"


@lint(
    reason="a size that got beyond has no way back, and GIoU is bounded: nothing explodes",
    cure="a clamp that no box reaches, such as 10, or the head yolov8_head",
)
def hard_clamp(subject: Subject) -> Said:
    """A clamp with no gradient beyond it, within reach of a prediction."""
    for found in subject.parts(models, "single_level_head"):
        clamp = found.params.size_clamp
        if clamp <= _FAR:
            message = (
                f"beyond an exponent of {clamp:g}, {math.exp(clamp):.3g} strides, "
                "the gradient is exactly 0"
            )
            yield found.at("size_clamp"), message


@lint(
    reason="a centre in the rest of the cell cannot be met",
    cure="centre_offset: 0.0",
)
def biased_centre(subject: Subject) -> Said:
    """A decoded centre that cannot reach all of its cell."""
    for found in subject.parts(models, "single_level_head"):
        offset = found.params.centre_offset
        if offset:
            message = f"centres lie {offset:g} to {1 + offset:g} cells from their cell's corner"
            yield found.at("centre_offset"), message
