"""Prediction of an image or volume of any size by overlapping windows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import ceil, prod

import torch
from torch import Tensor

LARGEST_SHARE_OF_FREE_MEMORY = 0.5
"""Of the device, that the logits of a whole volume may take; the rest is left to the model."""

WINDOWS_PER_DEVIATION = 8
"""Edges of a window in standard deviations of the weight with which its voxels are blended."""


@dataclass(frozen=True)
class SlidingWindow:
    """How a volume is cut.

    Attributes:
        size: edges of a window, in pixels.
        overlap: of neighbouring windows, as a share of their edge, in [0, 1).
        batch: windows predicted at once.
    """

    size: tuple[int, ...]
    overlap: float
    batch: int

    def is_exceeded_by(self, size: Sequence[int]) -> bool:
        """Return whether an image of this size has an edge longer than the window's."""
        assert len(size) == len(self.size), (size, self.size)
        return any(edge > most for edge, most in zip(size, self.size, strict=True))


def blended_logits(
    predict: Callable[[Tensor], Tensor], image: Tensor, window: SlidingWindow
) -> Tensor:
    """Return the logits of one image, blended where windows overlap.

    A voxel's logits are the mean of those that the windows give, weighted by a Gaussian about
    each window's centre with an eighth of its edge as standard deviation. Beside the image and
    the result only a batch of windows is held.

    Args:
        predict: (N, C, *window) to (N, K, *window) logits, on a device of its own choosing.
        image: (C, *spatial), of any dtype; an edge shorter than the window's is taken whole.
        window: how to cut.
    Returns: (K, *spatial) float32, on the device of the logits where it fits, else on the CPU.
    Source: Isensee et al. 2021 (nnU-Net).
    """
    size = image.shape[1:]
    edges = [min(*pair) for pair in zip(size, window.size, strict=True)]
    along = [
        _shares(length, edge, window.overlap) for length, edge in zip(size, edges, strict=True)
    ]
    blended: Tensor | None = None
    corners = product(*(range(len(starts)) for starts, _ in along))
    for group in _grouped(corners, window.batch):
        cuts = [
            tuple(
                slice(starts[at], starts[at] + edge)
                for (starts, _), at, edge in zip(along, corner, edges, strict=True)
            )
            for corner in group
        ]
        logits = predict(torch.stack([image[(slice(None), *cut)] for cut in cuts]))
        if blended is None:
            shape = (logits.shape[1], *size)
            blended = torch.zeros(shape, device=_place(shape, logits.device))
        for corner, cut, of_window in zip(group, cuts, logits, strict=True):
            share = of_window.float()
            for axis, ((_, shares), at) in enumerate(zip(along, corner, strict=True)):
                across = [1] * len(size)
                across[axis] = -1
                share = share * shares[at].view(across).to(share.device)
            blended[(slice(None), *cut)] += share.to(blended.device)
    assert blended is not None, "an image has at least one window"
    return blended


def _shares(length: int, edge: int, overlap: float) -> tuple[list[int], Tensor]:
    """Return where windows start along an edge and how much each counts at each of its pixels.

    Windows lie on a grid and a Gaussian is a product over the edges, so the weights are made to
    sum to 1 along each edge, and then they do so in the volume.

    Returns: N starts, and (N, edge) float32; over the windows that cover it, a pixel's sum to 1.
    """
    step = max(int(edge * (1 - overlap)), 1)
    count = ceil((length - edge) / step) + 1
    starts = [min(number * step, length - edge) for number in range(count)]
    offset = torch.arange(edge, dtype=torch.float64) - (edge - 1) / 2
    gaussian = torch.exp(-0.5 * (offset * WINDOWS_PER_DEVIATION / edge) ** 2)
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + edge] += gaussian
    shares = [gaussian / total[start : start + edge] for start in starts]
    return starts, torch.stack(shares).float()


def _place(shape: Sequence[int], device: torch.device) -> torch.device:
    """Return the device where a float32 tensor of this shape fits it with room, else the CPU."""
    if device.type != "cuda":
        return device
    free, _ = torch.cuda.mem_get_info(device)
    # What torch holds but does not use is free to us as well.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    fits = prod(shape) * 4 <= LARGEST_SHARE_OF_FREE_MEMORY * free
    return device if fits else torch.device("cpu")


def _grouped(corners: Iterator[tuple[int, ...]], most: int) -> Iterator[list[tuple[int, ...]]]:
    while group := list(islice(corners, most)):
        yield group
