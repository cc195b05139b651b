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
    ) -> None:
        super().__init__()
        self.stride = 2 ** (len(widths) - 1)
        self.norm = norm
        self._interpolation = "trilinear" if dimensions == 3 else "bilinear"
        self._pool = F.max_pool3d if dimensions == 3 else F.max_pool2d
        convolution = nn.Conv3d if dimensions == 3 else nn.Conv2d

        def block(given: int, width: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for _ in range(convolutions_per_level):
                layers += [
                    # A bias before a norm that subtracts the mean would never be trained.
                    convolution(given, width, 3, padding=1, bias=norm in ("group", "none")),
                    norm_layer(norm, width, dimensions, groups),
                    nn.LeakyReLU(0.01) if activation == "leaky_relu" else nn.ReLU(),
                ]
                given = width
            return nn.Sequential(*layers)

        self.down = nn.ModuleList(
            block(given, width) for given, width in zip((channels, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(
            block(below + width, width)
            for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = convolution(widths[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits.

        Args:
            image: (B, C, *spatial) float; ``stride`` divides each edge.
        Returns: (B, K, *spatial).
        Raises: RecipeError: the deepest map is too small for its norm.
        """
        self._check_smallest_map(image)
        hidden = image
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            hidden = block(self._pool(hidden, 2) if level else hidden)
            skips.append(hidden)
        skips.pop()
        for block in self.up:
            skip = skips.pop()
            hidden = F.interpolate(
                hidden, size=skip.shape[2:], mode=self._interpolation, align_corners=False
            )
            hidden = block(torch.cat([hidden, skip], 1))
        logits: Tensor = self.head(hidden)
        return logits

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
