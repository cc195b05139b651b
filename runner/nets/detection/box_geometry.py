"""Overlaps of axis-aligned boxes: IoU, GIoU and CIoU, for pairs and for all against all.

A box is (x1, y1, x2, y2) in pixels, its corners in any unit that both sides share.
"""

import math

import torch
from torch import Tensor

EPSILON = 1e-7
"""Keeps quotients finite where a box has no area, in square pixels."""


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Return intersection over union, in [0, 1].

    Args:
        first: (..., 4); shapes are broadcast, so (N, 1, 4) and (1, M, 4) give (N, M).
        second: (..., 4).
    """
    inter, union = _areas(first, second)
    return inter / (union + EPSILON)


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Return IoU less the share of the smallest box around both that neither covers, in [-1, 1].

    Args:
        first: (..., 4), broadcast against the second.
        second: (..., 4).
    Source: Rezatofighi et al. 2019, algorithm 1.
    """
    inter, union = _areas(first, second)
    width, height = _enclosing(first, second)
    hull = width * height
    return inter / (union + EPSILON) - (hull - union) / (hull + EPSILON)


def ciou(first: Tensor, second: Tensor) -> Tensor:
    """Return IoU less penalties for the distance of centres and for another aspect ratio.

    Args:
        first: (..., 4), predicted; broadcast against the second.
        second: (..., 4), true.
    Source: Zheng et al. 2020, eqs. 8 to 11; its trade-off factor has no gradient.
    """
    overlap = iou(first, second)
    width, height = _enclosing(first, second)
    diagonal = width.square() + height.square() + EPSILON
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    distance = apart.square().sum(-1) / diagonal
    angle = torch.atan2(*_shape(second)) - torch.atan2(*_shape(first))
    unlike = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        trade_off = unlike / (1 - overlap + unlike + EPSILON)
    return overlap - distance - trade_off * unlike


def _shape(box: Tensor) -> tuple[Tensor, Tensor]:
    """Return width and height; the height never zero, where the angle would have no gradient."""
    return box[..., 2] - box[..., 0], (box[..., 3] - box[..., 1]).clamp(min=EPSILON)


def _areas(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the areas of intersection and union."""
    corner = torch.maximum(first[..., :2], second[..., :2])
    opposite = torch.minimum(first[..., 2:], second[..., 2:])
    inter = (opposite - corner).clamp(min=0).prod(-1)
    return inter, _area(first) + _area(second) - inter


def _area(box: Tensor) -> Tensor:
    return (box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1)


def _enclosing(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return width and height of the smallest box around both."""
    corner = torch.minimum(first[..., :2], second[..., :2])
    opposite = torch.maximum(first[..., 2:], second[..., 2:])
    edges = opposite - corner
    return edges[..., 0], edges[..., 1]
