"""Backbones of detectors: networks that return maps of several strides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from runner.errors import Problem, RecipeError
from runner.nets.normalisation import Norm, norm_layer, with_group_norm
from runner.nets.pretrained import TIMM, encoder_name, load_encoder, no_weights, published_weights

STAGES = (2, 3, 4)
"""Of a timm network: strides 8, 16 and 32."""


class Backbone(nn.Module):
    """A network whose maps a detection head reads.

    Attributes:
        channels: of each map, the finest first.
        strides: pixels of the image for one cell of each map.
    """

    def __init__(self, net: nn.Module, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.net = net
        self.channels = tuple(channels)
        self.strides = tuple(strides)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return maps (B, C_l, H / stride_l, W / stride_l), the finest first.

        Args:
            image: (B, C, H, W) float, normalised; H and W multiples of the largest stride.
        """
        return list(self.net(image))


class ConvStages(nn.Module):
    """Convolutions that halve the map again and again; the last three maps are returned."""

    def __init__(self, channels: int, widths: Sequence[int], norm: Norm) -> None:
        super().__init__()
        edges = zip((channels, *widths), widths, strict=False)
        self.stages = nn.ModuleList(_halving(before, after, norm) for before, after in edges)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of the last three stages, the finest first."""
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        return maps[-3:]


def _halving(before: int, after: int, norm: Norm) -> nn.Sequential:
    bias = norm == "none"
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=bias),
        norm_layer(norm, after, 2),
        nn.SiLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=bias),
        norm_layer(norm, after, 2),
        nn.SiLU(inplace=True),
    )


def conv_backbone(channels: int, widths: Sequence[int], norm: Norm) -> Backbone:
    """Return a small backbone; each width is a stage of half the edge lengths."""
    strides = [2 ** (level + 1) for level in range(len(widths))]
    return Backbone(ConvStages(channels, widths, norm), widths[-3:], strides[-3:])


def timm_backbone(channels: int, encoder: str, pretrained: str | None, norm: Norm) -> Backbone:
    """Return a timm network cut off at strides 8, 16 and 32.

    Raises:
        RecipeError: timm does not know it, or cannot take it apart.
        MachineError: its published weights are not on this machine.
    """
    name = encoder_name(encoder)
    plain = name.removeprefix(TIMM)
    wants_published = bool(published_weights(name, pretrained))
    try:
        net = timm.create_model(
            plain, pretrained=wants_published, features_only=True, out_indices=STAGES,
            in_chans=channels,
        )  # fmt: skip
    except OSError as error:
        raise no_weights(name, error) from error
    except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as e:
        message = f"{encoder!r} cannot be a detector's backbone ({e}); choose another"
        raise RecipeError(Problem("", "encoder", message)) from e
    information: Any = net.feature_info
    strides = list(information.reduction())
    if strides != [8, 16, 32]:
        message = f"{encoder!r} has stages of strides {strides}, not 8, 16 and 32; choose another"
        raise RecipeError(Problem("", "encoder", message))
    if pretrained not in (None, "timm"):
        load_encoder(net, Path(pretrained), channels)
    if norm == "group":
        with_group_norm(net)
    return Backbone(net, information.channels(), strides)
