"""Losses of detectors: the YOLOv8 one, and the seed's with its matching by overlap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from runner.contracts import Progress
from runner.nets.detection.assigner import task_aligned
from runner.nets.detection.box_geometry import ciou, giou
from runner.nets.detection.grid import GridPredictions, Objects
from runner.nets.reduction import ratio_of_sums

FALLBACK = 5
"""Predictions that learn from the nearest object of an image in which none overlaps enough."""


@dataclass(frozen=True)
class Ramp:
    """A value that rises epoch by epoch: start + min(epoch / epochs, 1) * (end - start).

    Attributes:
        start, end: first value and last.
        epochs: from the first to the last.
    """

    start: float
    end: float
    epochs: float

    def __call__(self, progress: Progress) -> float:
        """Return the value at a progress; it changes where an epoch begins."""
        # A compressed plan counts in fractions, whose sum may fall short of the whole by a bit.
        whole = math.floor(progress.epoch + 1e-6)
        return self.start + min(whole / self.epochs, 1.0) * (self.end - self.start)


def binary_focal(logits: Tensor, target: Tensor, alpha: float | None, gamma: float) -> Tensor:
    """Return alpha_t (1 - p_t)^gamma times the cross-entropy of each logit.

    Args:
        logits: any shape.
        target: the same shape, 0 or 1.
        alpha: of the ones, 1 - alpha of the zeros; 1 for both where None.
        gamma: 0 is cross-entropy.
    Source: Lin et al. 2017, eq. 5.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if gamma:
        entropy = entropy * (1 - torch.exp(-entropy)).pow(gamma)
    if alpha is not None:
        entropy = entropy * (alpha * target + (1 - alpha) * (1 - target))
    return entropy


class OverlapMatched:
    """The seed's: every prediction whose box overlaps an object enough learns from it.

    box_weight * sum(1 - GIoU) / n + class_weight * sum(focal) / n over the n matched predictions
    of the batch. In an image where none is matched, the five that come nearest are.
    """

    def __init__(
        self,
        *,
        threshold: Callable[[Progress], float] | None,
        box_weight: float,
        class_weight: float,
        alpha: float | None,
        gamma: float,
        negatives: bool,
    ) -> None:
        """Make the loss.

        Args:
            threshold: GIoU above which a prediction is matched, at a progress; None matches the
                places in the middle of each object, whatever is predicted there.
            box_weight: of the boxes' term.
            class_weight: of the classes' term.
            alpha: of the focal loss, None for none.
            gamma: of the focal loss.
            negatives: whether the predictions that are not matched learn that there is nothing.
        """
        self.threshold = threshold
        self.box_weight = box_weight
        self.class_weight = class_weight
        self.alpha = alpha
        self.gamma = gamma
        self.negatives = negatives

    def __call__(
        self, predictions: GridPredictions, objects: Objects, progress: Progress
    ) -> dict[str, Tensor]:
        """Return the weighted terms ``box`` and ``class``; 0 where the batch has no object."""
        if self.threshold is None:
            owner, is_matched = match_by_place(predictions, objects)
        else:
            owner, is_matched = self.match(predictions, objects, self.threshold(progress))
        count = is_matched.sum(dtype=predictions.boxes.dtype)
        kinds = torch.zeros_like(predictions.logits)
        if objects.boxes.shape[1]:
            true = objects.boxes.gather(1, owner.unsqueeze(2).expand(-1, -1, 4))
            kind = objects.classes.gather(1, owner).unsqueeze(2)
            kinds.scatter_(2, kind, is_matched.unsqueeze(2).to(kinds.dtype))
        else:
            true = torch.zeros_like(predictions.boxes)
        apart = (1 - giou(predictions.boxes, true)).masked_fill(~is_matched, 0).sum()
        entropy = binary_focal(predictions.logits, kinds, self.alpha, self.gamma)
        if not self.negatives:
            entropy = entropy.masked_fill(~is_matched.unsqueeze(2), 0)
        # A batch without objects has negatives all the same.
        least = 1.0 if self.negatives else None
        return {
            "box": self.box_weight * ratio_of_sums(apart, count),
            "class": self.class_weight * ratio_of_sums(entropy.sum(), count, at_least=least),
        }

    @staticmethod
    @torch.no_grad()
    def match(
        predictions: GridPredictions, objects: Objects, threshold: float
    ) -> tuple[Tensor, Tensor]:
        """Return each prediction's nearest object, (B, A) int64, and whether it is matched."""
        batch, points = predictions.boxes.shape[:2]
        owner = torch.zeros(batch, points, dtype=torch.int64, device=predictions.boxes.device)
        if objects.boxes.shape[1] == 0:
            return owner, owner.bool()
        overlap = giou(predictions.boxes.unsqueeze(2), objects.boxes.unsqueeze(1))
        best, owner = overlap.masked_fill(~objects.is_real.unsqueeze(1), -2).max(2)
        is_matched = best > threshold
        nearest = best.topk(min(FALLBACK, points), dim=1).indices
        is_nearest = torch.zeros_like(is_matched).scatter_(1, nearest, True)
        is_matched = torch.where(is_matched.any(1, keepdim=True), is_matched, is_nearest)
        return owner, is_matched & objects.is_real.any(1, keepdim=True)


@torch.no_grad()
def match_by_place(predictions: GridPredictions, objects: Objects) -> tuple[Tensor, Tensor]:
    """Return each place's object, (B, A) int64, and whether it lies in that object's middle.

    The middle is half as wide and high as the object, and one cell at least, so that every
    object has a place. Of several objects the one with the nearest centre counts.
    """
    batch, points = predictions.boxes.shape[:2]
    if objects.boxes.shape[1] == 0:
        owner = torch.zeros(batch, points, dtype=torch.int64, device=predictions.boxes.device)
        return owner, owner.bool()
    boxes = objects.boxes.unsqueeze(1)
    corner, opposite = boxes[..., :2], boxes[..., 2:]  # (B, 1, M, 2)
    apart = (predictions.points.unsqueeze(1) - (corner + opposite) / 2).abs()
    half_cell = predictions.strides.view(-1, 1, 1) / 2
    is_inside = (apart <= torch.maximum((opposite - corner) / 4, half_cell)).all(-1)
    is_inside &= objects.is_real.unsqueeze(1)
    owner = apart.sum(-1).masked_fill(~is_inside, torch.inf).argmin(2)
    return owner, is_inside.any(2)


class TaskAligned:
    """YOLOv8's: cross-entropy over all anchor points, CIoU and distributions over the positive.

    Every term is divided by the sum of the target scores, which also weigh the positives.
    """

    def __init__(
        self,
        *,
        box_weight: float,
        class_weight: float,
        dfl_weight: float,
        top: int,
        alpha: float,
        beta: float,
    ) -> None:
        """Make the loss.

        Args:
            box_weight: of 1 - CIoU.
            class_weight: of the binary cross-entropy.
            dfl_weight: of the distribution focal loss.
            top: anchor points of an object.
            alpha: exponent of the score in the alignment.
            beta: exponent of the overlap in the alignment.
        """
        self.box_weight = box_weight
        self.class_weight = class_weight
        self.dfl_weight = dfl_weight
        self.top = top
        self.alpha = alpha
        self.beta = beta

    def __call__(
        self, predictions: GridPredictions, objects: Objects, progress: Progress
    ) -> dict[str, Tensor]:
        """Return the weighted terms ``box``, ``class`` and ``dfl``."""
        del progress  # The assignment follows the predictions, not the clock.
        assert predictions.distances is not None, "this head predicts no distributions"
        given = task_aligned(
            predictions, objects, top=self.top, alpha=self.alpha, beta=self.beta
        )  # fmt: skip
        entropy = functional.binary_cross_entropy_with_logits(
            predictions.logits, given.scores, reduction="sum"
        )
        weight = given.scores.sum(-1)
        total = weight.sum()
        apart = (1 - ciou(predictions.boxes, given.boxes)).masked_fill(~given.is_positive, 0)
        wanted = edge_distances(predictions, given.boxes)
        spread = distribution_focal(predictions.distances, wanted).mean(-1)
        spread = spread.masked_fill(~given.is_positive, 0)

        def per_score(value: Tensor) -> Tensor:
            # A batch without objects has negatives all the same.
            return ratio_of_sums(value, total, at_least=1.0)

        return {
            "box": self.box_weight * per_score((apart * weight).sum()),
            "class": self.class_weight * per_score(entropy),
            "dfl": self.dfl_weight * per_score((spread * weight).sum()),
        }


def edge_distances(predictions: GridPredictions, boxes: Tensor) -> Tensor:
    """Return the distances from each point to a box's edges, (B, A, 4) in strides of its level."""
    to_edges = torch.cat(
        [predictions.points - boxes[..., :2], boxes[..., 2:] - predictions.points], -1
    )
    return to_edges / predictions.strides.unsqueeze(1)


def distribution_focal(logits: Tensor, distance: Tensor) -> Tensor:
    """Return the cross-entropy with the two whole distances around the true one.

    Args:
        logits: (..., R) over the distances 0 to R - 1.
        distance: (...), brought into [0, R - 1.01]: what lies beyond cannot be predicted.
    Returns: (...), no unit.
    Source: Li et al. 2020, eq. 6.
    """
    distance = distance.clamp(0, logits.shape[-1] - 1.01)
    below = distance.floor()
    share_above = distance - below
    logs = logits.log_softmax(-1)
    lower = logs.gather(-1, below.long().unsqueeze(-1)).squeeze(-1)
    upper = logs.gather(-1, below.long().unsqueeze(-1) + 1).squeeze(-1)
    return -(lower * (1 - share_above) + upper * share_above)
