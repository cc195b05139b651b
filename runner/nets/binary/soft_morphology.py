"""Erosion, dilation and skeleton of soft masks, made of pooling so that gradients pass."""

import torch
import torch.nn.functional as F
from torch import Tensor


def dilated(soft: Tensor) -> Tensor:
    """Return the maximum of each voxel's 3-wide cube; what lies outside does not count.

    Args:
        soft: (B, *spatial) float, two or three spatial edges.
    """
    # One edge at a time: three windows of three voxels cost less than one of twenty-seven.
    for axis in range(1, soft.ndim):
        soft = _maximum_along(soft, axis)
    return soft


def eroded(soft: Tensor) -> Tensor:
    """Return the minimum of each voxel and its neighbours across its faces.

    Args:
        soft: (B, *spatial) float.
    Source: Shit et al. 2021, the minimum of pools along each edge.
    """
    negative = -soft
    highest = _maximum_along(negative, 1)
    for axis in range(2, soft.ndim):
        highest = torch.maximum(highest, _maximum_along(negative, axis))
    return -highest


def soft_skeleton(soft: Tensor, iterations: int) -> Tensor:
    """Return what is left of a soft mask when it is thinned: values near 1 on its middle.

    Args:
        soft: (B, *spatial) float in [0, 1].
        iterations: erosions; half the width in voxels of the thickest shape to be thinned.
    Returns: (B, *spatial) in [0, 1]; 0 throughout where the mask is constant.
    Source: Shit et al. 2021, algorithm 1.
    """
    thinner = eroded(soft)
    skeleton = F.relu(soft - dilated(thinner))
    for _ in range(iterations):
        soft, thinner = thinner, eroded(thinner)
        rest = F.relu(soft - dilated(thinner))
        skeleton = skeleton + F.relu(rest - skeleton * rest)
    return skeleton


def distances_within(places: Tensor, limit_voxels: int) -> Tensor:
    """Return the Euclidean distance to the nearest place, exact below the limit.

    Parabolas are lowered along one edge after the other, as in the exact distance transform,
    but only as far as the limit: on any device, without waiting for it.

    Args:
        places: (B, *spatial) bool.
        limit_voxels: 1 or more.
    Returns: (B, *spatial) float32 in voxels; the limit where no place is nearer.
    Source: Felzenszwalb and Huttenlocher 2012, section 2.
    """
    far = float(limit_voxels**2)
    squared = places.logical_not().float() * far
    for axis in range(1, places.ndim):
        length = squared.shape[axis]
        nearest = squared.clone()
        for shift in range(1, min(limit_voxels, length)):
            rest = length - shift
            first, last = squared.narrow(axis, 0, rest), squared.narrow(axis, shift, rest)
            for start, there in ((0, last), (shift, first)):
                here = nearest.narrow(axis, start, rest)
                here.copy_(torch.minimum(here, there + shift**2))
        squared = nearest
    return squared.clamp(max=far).sqrt()


def _maximum_along(soft: Tensor, axis: int) -> Tensor:
    """Return the maximum of three voxels along one edge."""
    widths, paddings = [1] * (soft.ndim - 1), [0] * (soft.ndim - 1)
    widths[axis - 1], paddings[axis - 1] = 3, 1
    pool = F.max_pool3d if soft.ndim == 4 else F.max_pool2d
    pooled: Tensor = pool(soft.unsqueeze(1), widths, 1, paddings)
    return pooled.squeeze(1)
