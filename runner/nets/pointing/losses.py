"""Losses of a pointed place against the true one."""

import torch
from torch import Tensor
from torch.nn import functional

from runner.nets.pointing.distance import DistanceLoss
from runner.nets.pointing.network import cell_middles
from runner.nets.reduction import mean_over_valid


class PointLoss:
    """A loss of the distance, averaged over the samples that count.

    Attributes:
        kind: mse, distance_hinge or huber_distance.
        threshold: in units of the target; of all but mse.
    """

    def __init__(self, kind: DistanceLoss, threshold: float = 0.0) -> None:
        self.kind = kind
        self.threshold = threshold

    def __call__(self, point: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Return the loss.

        Args:
            point: (B, 2) float, x and y, -1 and 1 being the edges of the canvas.
            target: (B, 2) float, the same of the true place.
            valid: (B,) bool, which samples count.
        Returns: scalar, of the squared unit of the target.
        """
        return mean_over_valid(self.per_sample(point.float(), target), valid)

    def per_sample(self, point: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample, (B,)."""
        apart = point - target
        if self.kind == "mse":
            return apart.square().sum(1)
        t, distance = self.threshold, apart.abs().sum(1)
        hinge, tangent = t * distance + t**2, 2 * t * distance - t**2
        far = hinge if self.kind == "distance_hinge" else tangent
        return torch.where(distance < t, distance.square(), far)


def heatmap_loss(heatmap: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return how far a heatmap is from a Gaussian of one cell's width around the true place.

    The mean of a map can be right without the map being so: two peaks beside the place. This
    term wants one, at the place, and teaches each cell from the first step.

    Args:
        heatmap: (B, h, w) float, log of each cell's share.
        target: (B, 2) float, x and y, -1 and 1 being the edges of the canvas.
        valid: (B,) bool, which samples count.
    Returns: scalar, Kullback-Leibler divergence in nats.
    Source: Nibali et al. 2018, section 4.3, with the divergence in place of Jensen-Shannon's.
    """
    height, width = heatmap.shape[1:]
    cells = target.new_tensor([width, height]) / 2
    middles = cell_middles(height, width, target)
    apart = (middles - target[..., None, None]) * cells[:, None, None]
    wanted = (-apart.square().sum(1).flatten(1) / 2).log_softmax(1)
    divergence = (wanted.exp() * (wanted - heatmap.float().flatten(1))).sum(1)
    return mean_over_valid(divergence, valid)


def done_loss(logit: Tensor, target: Tensor, valid: Tensor, positive_weight: float) -> Tensor:
    """Return the binary cross-entropy of there being nothing left to point at.

    Args:
        logit: (B,) float.
        target: (B,) float, 1 where it is done.
        valid: (B,) bool, which samples count.
        positive_weight: factor of samples that are done.
    Returns: scalar, no unit.
    """
    entropy = functional.binary_cross_entropy_with_logits(
        logit.float(), target, reduction="none", pos_weight=target.new_tensor(positive_weight)
    )
    return mean_over_valid(entropy, valid)
