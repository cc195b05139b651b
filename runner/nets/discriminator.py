"""A network that tells true masks from predicted ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Discriminator(nn.Module):
    """Strided convolutions, the mean of their last map, and one logit of its being a true mask.

    Source: Mittal et al. 2019, section 3.1; the mean takes images of any size of 2**levels pixels
    or more.

    Attributes:
        maps: (B, K + C, H, W) to (B, D, h, w); each level halves the map.
        score: (B, D) to a logit.
    """

    def __init__(self, channels: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [
                nn.Conv2d(channels, width, 4, stride=2, padding=1),
                nn.LeakyReLU(0.2),
                nn.Dropout2d(dropout),
            ]
            channels = width
        self.maps = nn.Sequential(*layers)
        self.score = nn.Linear(channels, 1)

    def forward(self, classes: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits.

        Args:
            classes: (B, K, H, W) in [0, 1], probability of each class; of a true mask 0 or 1.
            image: (B, C, H, W), normalised.
        Returns: (B, D) features and (B,) logits, above 0 where the mask is taken for a true one.
        """
        features: Tensor = self.maps(torch.cat([classes, image], 1)).mean((2, 3))
        return features, self.score(features).squeeze(1)
