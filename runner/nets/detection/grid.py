"""What a detection head predicts at each place of its grids, and the objects it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.samples import Batch


@dataclass(frozen=True)
class GridPredictions:
    """A box with class logits at each anchor point, all levels one after another.

    Attributes:
        boxes: (B, A, 4) corners, pixels of the image as the network saw it.
        logits: (B, A, K), unnormalised; a class's score is its sigmoid.
        points: (A, 2) x and y of the anchor points, pixels.
        strides: (A,) pixels of the image for one cell of the point's level.
        distances: (B, A, 4, R) logits over R whole distances, in strides, from the point to the
            left, upper, right and lower edge; None of a head that predicts edges directly.
    """

    boxes: Tensor
    logits: Tensor
    points: Tensor
    strides: Tensor
    distances: Tensor | None = None


@dataclass(frozen=True)
class Objects:
    """The true boxes of a batch, padded to the sample with the most.

    Attributes:
        boxes: (B, M, 4) corners, pixels.
        classes: (B, M) int64; 0 where padded.
        is_real: (B, M) bool; False where padded.
    """

    boxes: Tensor
    classes: Tensor
    is_real: Tensor


def objects_of(batch: Batch) -> Objects:
    """Return the batch's true boxes; unlabelled samples have none.

    Of ``boxes`` a row is x1, y1, x2, y2 in pixels and the class's index.
    """
    rows = batch.target["boxes"]
    samples, most, device = len(rows.counts), rows.most, rows.counts.device
    # Where each row belongs, told without waiting for the device.
    sample = torch.repeat_interleave(rows.counts, output_size=len(rows.values))
    start = rows.counts.cumsum(0) - rows.counts
    place = torch.arange(len(rows.values), device=device) - start[sample]
    padded = rows.values.new_zeros(samples, most, 5)
    padded[sample, place] = rows.values
    is_there = torch.arange(most, device=device) < rows.counts.unsqueeze(1)
    is_real = is_there & batch.is_labelled.unsqueeze(1)
    return Objects(padded[..., :4].float(), padded[..., 4].long(), is_real)


def grid_points(
    shapes: Sequence[tuple[int, int]], strides: Sequence[int], like: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the centres of all cells and their strides.

    Args:
        shapes: rows and columns of each level.
        strides: of each level, pixels.
        like: gives dtype and device.
    Returns: (A, 2) x and y in pixels, and (A,) pixels.
    """
    points, of_each = [], []
    for (rows, columns), stride in zip(shapes, strides, strict=True):
        y = torch.arange(rows, device=like.device, dtype=like.dtype) + 0.5
        x = torch.arange(columns, device=like.device, dtype=like.dtype) + 0.5
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)
        points.append(grid * stride)
        of_each.append(torch.full((rows * columns,), float(stride), device=like.device))
    return torch.cat(points), torch.cat(of_each).to(like.dtype)
