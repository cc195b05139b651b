"""A small U-Net of plain convolutions for images and volumes."""

from collections.abc import Sequence
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.errors import Problem, RecipeError
from runner.nets.normalisation import Norm, norm_layer

Activation = Literal["relu", "leaky_relu"]


class Residual(nn.Module):
    """Layers whose input is added to their output before the last activation.

    Source: He et al. 2016, figure 2, with a 1-wide convolution where the widths differ.
    """

    def __init__(self, layers: nn.Sequential, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, hidden: Tensor) -> Tensor:
        """Return a map of the layers' width and the input's size."""
        activated: Tensor = self.activation(self.layers(hidden) + self.shortcut(hidden))
        return activated


class ConvUNet(nn.Module):
    """Blocks of convolutions, max pooling down, linear upsampling and concatenation up.

    Source: Ronneberger et al. 2015, with padded convolutions and interpolation in place of
    transposed convolutions.

    Args:
        channels: of the image.
        classes: logits of each pixel.
        dimensions: 2 or 3.
        widths: channels of each level, the full resolution first.
        norm: after each convolution.
        activation: after each norm; the leaky slope is 0.01.
        convolutions_per_level: in each block.
        groups: at most so many, for GroupNorm.
        residual: whether a block on the way down adds its input to its output.
        deep_supervision: whether each level on the way up but the last gives logits too; in
            training the model then returns a tuple.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        dimensions: int,
        widths: Sequence[int],
        norm: Norm,
        activation: Activation,
        convolutions_per_level: int,
        groups: int,
        *,
        residual: bool = False,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if deep_supervision and len(widths) < 3:
            message = (
                "needs three levels or more: between the first and the last there is none; "
                "add a width"
            )
            raise RecipeError(Problem("", "deep_supervision", message))
        self.stride = 2 ** (len(widths) - 1)
        self.norm = norm
        self._interpolation = "trilinear" if dimensions == 3 else "bilinear"
        self._pool = F.max_pool3d if dimensions == 3 else F.max_pool2d
        convolution = nn.Conv3d if dimensions == 3 else nn.Conv2d

        def normed(given: int, width: int, edge: int) -> list[nn.Module]:
            return [
                # A bias before a norm that subtracts the mean would never be trained.
                convolution(given, width, edge, padding=edge // 2, bias=norm in ("group", "none")),
                norm_layer(norm, width, dimensions, groups),
            ]

        def activated() -> nn.Module:
            return nn.LeakyReLU(0.01) if activation == "leaky_relu" else nn.ReLU()

        def block(given: int, width: int) -> nn.Sequential:
            inputs = [given, *[width] * (convolutions_per_level - 1)]
            return nn.Sequential(
                *(layer for each in inputs for layer in (*normed(each, width, 3), activated()))
            )

        def residual_block(given: int, width: int) -> Residual:
            layers = block(given, width)
            shortcut = normed(given, width, 1) if given != width else [nn.Identity()]
            return Residual(layers[:-1], nn.Sequential(*shortcut), layers[-1])

        encode = residual_block if residual else block
        self.down = nn.ModuleList(
            encode(given, width) for given, width in zip((channels, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(
            block(below + width, width)
            for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = convolution(widths[0], classes, 1)
        # Last, so that they change nothing of how the other weights begin.
        supervised = widths[-2:0:-1] if deep_supervision else ()
        self.coarse_heads = nn.ModuleList(convolution(width, classes, 1) for width in supervised)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits.

        Args:
            image: (B, C, *spatial) float; ``stride`` divides each edge.
        Returns: (B, K, *spatial); under deep supervision, in training, a tuple of such, the
            finest first, the coarser ones interpolated to the image's size: so they are scored
            against the mask itself, and no thin or ignored region is lost by shrinking it.
        Raises: RecipeError: the deepest map is too small for its norm.
        """
        self._check_smallest_map(image)
        hidden = image
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            hidden = block(self._pool(hidden, 2) if level else hidden)
            skips.append(hidden)
        skips.pop()
        rising: list[Tensor] = []
        for block in self.up:
            skip = skips.pop()
            hidden = block(torch.cat([self._resized(hidden, skip), skip], 1))
            rising.append(hidden)
        logits: Tensor = self.head(hidden)
        if not self.training or not self.coarse_heads:
            return logits
        coarse = (head(map_) for head, map_ in zip(self.coarse_heads, rising, strict=False))
        return (logits, *[self._resized(each, image) for each in coarse][::-1])

    def _resized(self, hidden: Tensor, like: Tensor) -> Tensor:
        """Return the map interpolated to another's size."""
        return F.interpolate(
            hidden, size=like.shape[2:], mode=self._interpolation, align_corners=False
        )

    def _check_smallest_map(self, image: Tensor) -> None:
        values = prod(edge // self.stride for edge in image.shape[2:])
        is_batch = self.norm == "batch" and self.training
        if self.norm != "instance" and not is_batch:
            return
        if values * (len(image) if is_batch else 1) == 1:
            size = "×".join(map(str, image.shape[2:]))
            message = (
                f"{len(self.down)} levels leave one value of a {size} input, which {self.norm} "
                "norm cannot normalise; use fewer levels, a larger crop or norm: group"
            )
            raise RecipeError(Problem("", "widths", message))
