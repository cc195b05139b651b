"""Inputs of any size for networks that halve their maps a fixed number of times."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PaddedToStride(nn.Module):
    """Pads the input until the stride divides its edges; crops the logits back.

    Attributes:
        model: maps (B, C, *spatial) to (B, K, *spatial), or a tuple of such, where the stride
            divides each edge.
        stride: in pixels.
    """

    def __init__(self, model: nn.Module, stride: int) -> None:
        super().__init__()
        self.model = model
        self.stride = stride

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits of the image's own size.

        Args:
            image: (B, C, *spatial) float, of any size.
        Returns: (B, K, *spatial), or a tuple of such where the model gives one.
        """
        size = image.shape[2:]
        predicted: Tensor | tuple[Tensor, ...] = self.model(padded(image, self.stride))
        if isinstance(predicted, tuple):
            return tuple(_cropped(each, size) for each in predicted)
        return _cropped(predicted, size)


def _cropped(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Return the first pixels along each edge."""
    if logits.shape[2:] == torch.Size(size):
        return logits
    return logits[(slice(None), slice(None), *[slice(edge) for edge in size])]


def padded(image: Tensor, stride: int) -> Tensor:
    """Return the image with its last row, column and slice repeated up to a multiple of the stride.

    Edges are repeated, not mirrored: a mirror needs an image larger than its padding.

    Args:
        image: (B, C, *spatial) float, two or three spatial edges.
        stride: in pixels.
    """
    missing = [-edge % stride for edge in image.shape[2:]]
    if not any(missing):
        return image
    return F.pad(image, _ends(missing), mode="replicate")


def _ends(missing: Sequence[int]) -> list[int]:
    """Return the padding as ``torch.nn.functional.pad`` reads it: the last edge first."""
    return [amount for edge in reversed(missing) for amount in (0, edge)]
