"""Normalisation layers for batches too small for BatchNorm."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Norm = Literal["batch", "group", "instance", "none"]

MOST_GROUPS = 32
"""Of Wu and He 2018."""

LEAST_CHANNELS = 4
"""In a group: one channel alone is InstanceNorm, which turns a map of one pixel into zeros."""


def group_count(channels: int, most: int = MOST_GROUPS) -> int:
    """Return the largest number of equal groups, of four channels or more, up to ``most``."""
    limit = min(most, max(channels // LEAST_CHANNELS, 1))
    return next(count for count in range(limit, 0, -1) if channels % count == 0)


class ActivatedGroupNorm(nn.GroupNorm):
    """GroupNorm in the place of a BatchNorm that drops out and activates in the same layer."""

    def __init__(self, groups: int, channels: int, eps: float, drop: nn.Module, act: nn.Module):
        super().__init__(groups, channels, eps)
        self.drop = drop
        self.act = act

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised, activated map, of the input's shape."""
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


def with_group_norm(model: nn.Module, most: int = MOST_GROUPS) -> nn.Module:
    """Return the model with each BatchNorm replaced, in place, by a GroupNorm.

    Scale and shift are kept, running statistics are lost. timm's layers that normalise and
    activate at once keep their activation.

    Args:
        model: of any depth, or a BatchNorm itself.
        most: groups of a layer; fewer where they do not divide its channels, or would leave
            fewer than four channels in a group.
    Raises: TypeError: a BatchNorm does more than normalise, drop out and activate.
    """
    if isinstance(model, _BatchNorm):
        return _group_norm(model, most)
    for name, child in model.named_children():
        setattr(model, name, with_group_norm(child, most))
    return model


def _group_norm(batch_norm: _BatchNorm, most: int) -> nn.GroupNorm:
    channels = batch_norm.num_features
    groups = group_count(channels, most)
    children = dict(batch_norm.named_children())
    if not children:
        made = nn.GroupNorm(groups, channels, batch_norm.eps, affine=batch_norm.affine)
    elif children.keys() == {"drop", "act"}:
        made = ActivatedGroupNorm(groups, channels, batch_norm.eps, **children)
    else:
        raise TypeError(f"{type(batch_norm).__name__} holds {sorted(children)}: not known here")
    if batch_norm.affine:
        # The same parameters, so that an optimizer or a tie that knows them still does.
        made.weight, made.bias = batch_norm.weight, batch_norm.bias
    return made.train(batch_norm.training)


def norm_layer(norm: Norm, channels: int, dimensions: int, most: int = MOST_GROUPS) -> nn.Module:
    """Return a layer that normalises (B, channels, *spatial).

    Args:
        norm: its kind; ``instance`` needs two pixels a map.
        channels: of the map.
        dimensions: 2 or 3.
        most: groups, for ``group``.
    """
    is_volume = dimensions == 3
    if norm == "batch":
        return (nn.BatchNorm3d if is_volume else nn.BatchNorm2d)(channels)
    if norm == "instance":
        return (nn.InstanceNorm3d if is_volume else nn.InstanceNorm2d)(channels, affine=True)
    if norm == "group":
        return nn.GroupNorm(group_count(channels, most), channels)
    return nn.Identity()
