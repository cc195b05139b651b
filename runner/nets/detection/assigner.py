"""Which anchor points learn which object: the task-aligned assignment, without a loop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runner.nets.detection.box_geometry import iou
from runner.nets.detection.grid import GridPredictions, Objects


@dataclass(frozen=True)
class Assignment:
    """What each anchor point is to predict.

    Attributes:
        is_positive: (B, A) bool.
        boxes: (B, A, 4) of the assigned object; of no meaning where not positive.
        scores: (B, A, K) in [0, 1]: how well the prediction fits, at the object's class; else 0.
    """

    is_positive: Tensor
    boxes: Tensor
    scores: Tensor


@torch.no_grad()
def task_aligned(
    predictions: GridPredictions, objects: Objects, *, top: int, alpha: float, beta: float
) -> Assignment:
    """Return for each object the points that score and overlap best, of those inside it.

    The alignment of a point with an object is score^alpha * IoU^beta; the ``top`` points of each
    object are its own, and a point that two objects claim goes to the one it overlaps more. An
    object's target scores are its alignments, scaled so that the largest is its largest IoU.

    Args:
        predictions: of the batch.
        objects: of the batch.
        top: points of an object, at most.
        alpha: exponent of the score.
        beta: exponent of the overlap.
    Source: Feng et al. 2021, section 3.2.
    """
    batch, points, classes = predictions.logits.shape
    most = objects.boxes.shape[1]
    if most == 0:
        nothing = predictions.boxes.new_zeros(batch, points)
        return Assignment(
            nothing.bool(), torch.zeros_like(predictions.boxes),
            torch.zeros_like(predictions.logits),
        )  # fmt: skip
    overlap = iou(predictions.boxes.unsqueeze(1), objects.boxes.unsqueeze(2))  # (B, M, A)
    of_class = objects.classes.unsqueeze(1).expand(-1, points, -1)
    score = predictions.logits.sigmoid().gather(2, of_class).transpose(1, 2)
    is_allowed = _inside(predictions.points, objects.boxes) & objects.is_real.unsqueeze(2)
    alignment = (score.pow(alpha) * overlap.pow(beta)).masked_fill(~is_allowed, -1)

    best = alignment.topk(min(top, points), dim=2).indices
    is_own = torch.zeros_like(is_allowed).scatter_(2, best, True) & is_allowed
    owner = overlap.masked_fill(~is_own, -1).argmax(1)  # (B, A)
    is_own &= torch.arange(most, device=owner.device)[:, None] == owner.unsqueeze(1)

    aligned = alignment.masked_fill(~is_own, 0)
    reached = overlap.masked_fill(~is_own, 0)
    scale = reached.amax(2, keepdim=True) / aligned.amax(2, keepdim=True).clamp(min=1e-12)
    target = (aligned * scale).sum(1)  # a point has one owner: the sum is its value
    is_positive = is_own.any(1)
    kind = objects.classes.gather(1, owner)
    scores = torch.zeros_like(predictions.logits)
    scores.scatter_(2, kind.unsqueeze(2), (target * is_positive).unsqueeze(2))
    boxes = objects.boxes.gather(1, owner.unsqueeze(2).expand(-1, -1, 4))
    return Assignment(is_positive, boxes, scores)


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Return (B, M, A): whether a point lies within a box, not on its edge."""
    to_edges = torch.cat(
        [points - boxes[..., :2].unsqueeze(2), boxes[..., 2:].unsqueeze(2) - points], -1
    )
    return to_edges.amin(-1) > 0
