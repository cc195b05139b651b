"""Counting objects by pointing at one after another, each marked before the next."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from runner.contracts import Batch
from runner.data.points.marks import Mark
from runner.nets.pointing.network import Pointed
from runner.nets.pointing.score import DONE_FROM


def count_by_pointing(
    point: Callable[[Batch], Pointed], batch: Batch, wanted: Tensor, mark: Mark, limit: int
) -> Tensor:
    """Return how many objects were pointed at before the network said that it is done.

    The images of a batch are pointed at together; those that are done leave it.

    Args:
        point: the network, from a batch.
        batch: images (B, 3, H, W) uint8 without a mark.
        wanted: (B,) bool, which of them to count.
        mark: how pointed objects look; the same as in training.
        limit: at so many objects counting ends.
    Returns: (B,) int64, on the batch's device; -1 where none were counted.
    """
    device = batch.image.device
    active = wanted.nonzero().flatten().cpu()
    # Marks are drawn where the data set draws them, by the same code, on the CPU.
    canvases = np.ascontiguousarray(batch.image.permute(0, 2, 3, 1).cpu().numpy())
    edges = np.array(canvases.shape[2:0:-1])
    counted = torch.where(wanted.cpu(), 0, -1)
    for number in range(1, limit + 1):
        if not len(active):
            break
        rows = active.to(device)
        shown = torch.from_numpy(canvases[active.numpy()]).permute(0, 3, 1, 2)
        part = replace(
            batch,
            ids=tuple(batch.ids[index] for index in active.tolist()),
            image=shown.contiguous().to(device),
            mean=batch.mean[rows],
            std=batch.std[rows],
        )
        pointed = point(part)
        goes_on = (pointed.done.float().sigmoid() <= DONE_FROM).cpu()
        places = (pointed.point.float().cpu().numpy()[goes_on.numpy()] + 1) / 2 * edges
        active = active[goes_on]
        for index, (x, y) in zip(active.tolist(), places, strict=True):
            mark.draw(canvases[index], x, y, number)
        counted[active] += 1
    return counted.to(device)
