"""A network that points at one place of an image and says whether there is one left."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import timm
import torch
from torch import Tensor, nn

from runner.errors import Problem, RecipeError
from runner.nets.normalisation import with_group_norm
from runner.nets.pretrained import load_encoder, no_weights
from runner.registry import suggestion

SHARPNESS = 40.0
"""Factor of the heatmap's logits: a mean is at a place only once almost all weight is there."""

PEAK_CELLS = 2
"""How far from a heatmap's highest cell its neighbours belong to the same peak."""

REGRESSION_GRID = 8
"""Cells along an edge of what is left of a map before coordinates are regressed."""


class Pointed(NamedTuple):
    """What the network says of a batch.

    Attributes:
        point: (B, 2), x and y, -1 and 1 being the edges of the canvas.
        done: (B,) logit.
        heatmap: (B, h, w) log of each cell's share, they sum to 1; None where a net has no map.
    """

    point: Tensor
    done: Tensor
    heatmap: Tensor | None = None


class Pointer(nn.Module):
    """A backbone's map of one stride, with coordinates, and a head.

    Attributes:
        backbone: (B, C, H, W) to a list of one map.
        head: of the map.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, image: Tensor) -> Pointed:
        """Return where it points, and whether it is done."""
        (features,) = self.backbone(image)
        height, width = features.shape[2:]
        grid = cell_middles(height, width, features).expand(len(features), -1, -1, -1)
        pointed: Pointed = self.head(torch.cat([features, grid], 1))
        return pointed


class RegressionHead(nn.Module):
    """Coordinates and the done logit, each by a linear layer of one hidden vector."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels + 2, 32, 1)
        self.hidden = nn.Linear(32 * REGRESSION_GRID**2, hidden)
        self.x_head = nn.Linear(hidden, 1)
        self.y_head = nn.Linear(hidden, 1)
        self.done_head = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Pointed:
        """Return point and done of a map with coordinates, (B, C + 2, h, w)."""
        grid = grid_mean(self.reduce(features).relu(), REGRESSION_GRID)
        hidden = self.hidden(grid.flatten(1)).relu()
        point = torch.cat([self.x_head(hidden), self.y_head(hidden)], 1)
        return Pointed(point, self.done_head(hidden).squeeze(1))


class HeatmapHead(nn.Module):
    """The point as the mean of a heatmap, and done from the hidden map's mean and maximum.

    Attributes:
        reads_peak: in evaluation the mean is taken around the highest cell alone. Of two places
            that are as likely, the mean lies between, where nothing is.
    """

    def __init__(self, channels: int, hidden: int, *, reads_peak: bool = False) -> None:
        super().__init__()
        self.reads_peak = reads_peak
        self.hidden = nn.Conv2d(channels + 2, hidden, 1)
        self.context = nn.Linear(hidden, hidden)
        self.heatmap_head = nn.Conv2d(hidden, 1, 1)
        # Even at first: a map that begins with peaks teaches only the cells that have one.
        nn.init.zeros_(self.heatmap_head.weight)
        self.done_head = nn.Linear(2 * hidden, 1)

    def forward(self, features: Tensor) -> Pointed:
        """Return point and done of a map with coordinates, (B, C + 2, h, w)."""
        hidden = self.hidden(features)
        # What is next depends on what is left elsewhere, beyond the backbone's sight.
        hidden = (hidden + self.context(hidden.mean((2, 3)))[..., None, None]).relu()
        height, width = features.shape[2:]
        heatmap = (SHARPNESS * self.heatmap_head(hidden).flatten(1).float()).log_softmax(1)
        middles = cell_middles(height, width, heatmap).flatten(2).squeeze(0)
        done = self.done_head(torch.cat([hidden.mean((2, 3)), hidden.amax((2, 3))], 1))
        share = heatmap.exp()
        if self.reads_peak and not self.training:
            share = around_peak(share.unflatten(1, (height, width))).flatten(1)
        point = share @ middles.T
        return Pointed(point, done.squeeze(1), heatmap.unflatten(1, (height, width)))


def around_peak(share: Tensor) -> Tensor:
    """Return a map's highest cell and its neighbours, up to two cells away, as shares.

    Args:
        share: (B, h, w) float, not negative, with a sum above 0.
    Returns: (B, h, w), zero elsewhere; each sample's sum is 1.
    """
    height, width = share.shape[1:]
    peak = share.flatten(1).argmax(1)
    rows = (torch.arange(height, device=share.device) - (peak // width)[:, None]).abs()
    columns = (torch.arange(width, device=share.device) - (peak % width)[:, None]).abs()
    near = share * ((rows <= PEAK_CELLS)[:, :, None] & (columns <= PEAK_CELLS)[:, None])
    return near / near.sum((1, 2), keepdim=True)


def cell_middles(height: int, width: int, like: Tensor) -> Tensor:
    """Return x and y of the cells of a map, (1, 2, height, width), its edges being -1 and 1."""
    rows, columns = (
        (2 * torch.arange(cells, device=like.device, dtype=like.dtype) + 1) / cells - 1
        for cells in (height, width)
    )
    return torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)])[None]


def grid_mean(features: Tensor, cells: int) -> Tensor:
    """Return a map brought to so many cells along each edge: (B, C, cells, cells).

    Two products of matrices: torch's adaptive pooling has no deterministic gradient on CUDA.
    """
    height, width = features.shape[2:]
    rows, columns = _overlaps(height, cells, features), _overlaps(width, cells, features)
    return rows @ features @ columns.T


def _overlaps(of: int, to: int, like: Tensor) -> Tensor:
    """Return which share of each of ``to`` cells comes from each of ``of``, (to, of)."""
    edges_of = torch.arange(of + 1, device=like.device, dtype=like.dtype) / of
    edges_to = torch.arange(to + 1, device=like.device, dtype=like.dtype) / to
    upper = torch.minimum(edges_of[None, 1:], edges_to[1:, None])
    lower = torch.maximum(edges_of[None, :-1], edges_to[:-1, None])
    return (upper - lower).clamp(min=0) * to


def pointer(
    channels: int,
    backbone: str,
    pretrained: str | None,
    norm: Literal["batch", "group"],
    stride: int,
    head: Literal["regression", "heatmap", "heatmap_peak"],
    hidden: int,
) -> Pointer:
    """Return the network.

    Args:
        channels: of the images.
        backbone: a timm model.
        pretrained: ``timm``, a .safetensors file, or None.
        norm: of the backbone.
        stride: pixels of the image for one of the map that is pointed in.
        head: which.
        hidden: width of the head.
    Raises: RecipeError: timm has no such model, weights or stride.
        MachineError: its weights cannot be fetched. DataError: the file holds others.
    """
    body = _backbone(channels, backbone, pretrained == "timm", stride)
    if pretrained not in (None, "timm"):
        load_encoder(body, Path(pretrained), channels)
    if norm == "group":
        with_group_norm(body)
    (width,) = _info(body, "num_chs")
    if head == "regression":
        return Pointer(body, RegressionHead(width, hidden))
    return Pointer(body, HeatmapHead(width, hidden, reads_peak=head == "heatmap_peak"))


def _backbone(channels: int, name: str, is_pretrained: bool, stride: int) -> nn.Module:
    if not timm.is_model(name):
        near = suggestion(name, dict.fromkeys(timm.list_models()))
        cure = near if near.startswith("did you mean") else "timm.list_models() names what is known"
        raise RecipeError(Problem("", "backbone", f"no timm model is called {name!r}; {cure}"))
    if is_pretrained and not timm.is_model_pretrained(name):
        message = f"timm publishes no weights of {name!r}; choose another, or give a file"
        raise RecipeError(Problem("", "pretrained", message))
    try:
        strides = _info(timm.create_model(name, features_only=True), "reduction")
        if stride not in strides:
            known = ", ".join(map(str, strides))
            message = f"{name} has no map of stride {stride}; choose one of {known}"
            raise RecipeError(Problem("", "stride", message))
        level = len(strides) - 1 - strides[::-1].index(stride)
        # Deeper stages are left out: they would be trained by nothing.
        body: nn.Module = timm.create_model(
            name, features_only=True, out_indices=(level,), in_chans=channels,
            pretrained=is_pretrained,
        )  # fmt: skip
    except OSError as error:
        raise no_weights(name, error) from error
    except (AssertionError, AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        message = f"{name!r} gives no maps ({error}); choose another backbone"
        raise RecipeError(Problem("", "backbone", message)) from error
    return body


def _info(body: nn.Module, what: str) -> Sequence[int]:
    info = body.feature_info.get_dicts([what])  # type: ignore[union-attr, operator]
    return [each[what] for each in info]
