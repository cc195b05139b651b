"""The YOLOv8 head: a pyramid down and up, and at each level boxes and classes apart."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from runner.nets.detection.grid import GridPredictions, grid_points
from runner.nets.detection.single_level_head import bias_of
from runner.nets.normalisation import norm_layer


class ConvNormAct(nn.Sequential):
    """Convolution, norm, SiLU."""

    def __init__(
        self, before: int, after: int, kernel: int, norm: Literal["batch", "group"], stride: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
            norm_layer(norm, after, 2),
            nn.SiLU(inplace=True),
        )


class CrossStage(nn.Module):
    """Half of the channels goes through residual blocks, and every step's result is kept.

    Source: Wang et al. 2020 (cross-stage partial networks), with all intermediate maps joined.
    """

    def __init__(self, before: int, after: int, norm: Literal["batch", "group"]) -> None:
        super().__init__()
        half = after // 2
        self.split = ConvNormAct(before, 2 * half, 1, norm)
        self.block = nn.Sequential(
            ConvNormAct(half, half, 3, norm), ConvNormAct(half, half, 3, norm)
        )
        self.join = ConvNormAct(3 * half, after, 1, norm)

    def forward(self, map: Tensor) -> Tensor:
        """Return (B, after, H, W)."""
        kept, changed = self.split(map).chunk(2, 1)
        joined: Tensor = self.join(torch.cat([kept, changed, self.block(changed)], 1))
        return joined


class PathAggregation(nn.Module):
    """Coarse maps inform fine ones, then fine maps inform coarse ones.

    Source: Liu et al. 2018, with concatenation in place of addition.
    """

    def __init__(
        self, channels: Sequence[int], width: int, norm: Literal["batch", "group"]
    ) -> None:
        super().__init__()
        self.enter = nn.ModuleList(ConvNormAct(each, width, 1, norm) for each in channels)
        others = len(channels) - 1
        self.down = nn.ModuleList(CrossStage(2 * width, width, norm) for _ in range(others))
        self.shrink = nn.ModuleList(ConvNormAct(width, width, 3, norm, 2) for _ in range(others))
        self.up = nn.ModuleList(CrossStage(2 * width, width, norm) for _ in range(others))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return maps of the same sizes, (B, width, H_l, W_l) each, the finest first."""
        entered = [enter(map) for enter, map in zip(self.enter, maps, strict=True)]
        finer = [entered[-1]]
        for map, block in zip(reversed(entered[:-1]), self.down, strict=True):
            above = functional.interpolate(finer[0], scale_factor=2.0, mode="nearest")
            finer.insert(0, block(torch.cat([map, above], 1)))
        coarser = [finer[0]]
        for map, shrink, block in zip(finer[1:], self.shrink, self.up, strict=True):
            coarser.append(block(torch.cat([shrink(coarser[-1]), map], 1)))
        return coarser


class PyramidHead(nn.Module):
    """Distances to the four edges as distributions, class logits, at every cell of every level."""

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        classes: int,
        *,
        width: int,
        reg_max: int,
        norm: Literal["batch", "group"],
        prior: float,
    ) -> None:
        """Make the head.

        Args:
            channels: of each map, the finest first.
            strides: of each map, pixels.
            classes: K.
            width: channels of the pyramid and of the branches.
            reg_max: number of whole distances, 0 to reg_max - 1 strides.
            norm: of every convolution.
            prior: score of every class before training.
        """
        super().__init__()
        self.strides = tuple(strides)
        self.reg_max = reg_max
        self.neck = PathAggregation(channels, width, norm)

        def branch(outputs: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(
                    ConvNormAct(width, width, 3, norm),
                    ConvNormAct(width, width, 3, norm),
                    nn.Conv2d(width, outputs, 1),
                )
                for _ in strides
            )

        self.distances, self.classes = branch(4 * reg_max), branch(classes)
        for level in self.classes:
            nn.init.constant_(level[-1].bias, bias_of(prior))  # type: ignore[index]
        self.steps: Tensor
        self.register_buffer("steps", torch.arange(reg_max).float(), persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> GridPredictions:
        """Return the predictions of all levels, the finest first."""
        levels = self.neck(maps)
        shapes = [(map.shape[2], map.shape[3]) for map in levels]
        flat = _joined(self.distances, levels)
        distances = flat.view(*flat.shape[:2], 4, self.reg_max)
        points, strides = grid_points(shapes, self.strides, distances)
        # The expected distance of each edge; a matrix product would be rounded by autocast.
        edges = (distances.softmax(-1) * self.steps).sum(-1) * strides[:, None]
        boxes = torch.cat([points - edges[..., :2], points + edges[..., 2:]], -1)
        return GridPredictions(boxes, _joined(self.classes, levels), points, strides, distances)


def _joined(branches: nn.ModuleList, levels: Sequence[Tensor]) -> Tensor:
    """Return the branches' outputs as (B, A, outputs) float32."""
    found = [branch(map).float().flatten(2) for branch, map in zip(branches, levels, strict=True)]
    return torch.cat(found, 2).transpose(1, 2)
