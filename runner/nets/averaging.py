"""Exponential moving averages of weights."""

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def move_towards(averages: Sequence[Tensor], values: Sequence[Tensor], share: Tensor) -> None:
    """Move averages towards values, in place.

    Args:
        averages: what is moved, any shapes.
        values: of the same shapes.
        share: scalar in [0, 1] on their device: of the way that is gone.
    """
    away = torch._foreach_sub(list(values), list(averages))
    torch._foreach_mul_(away, share)
    torch._foreach_add_(list(averages), away)
