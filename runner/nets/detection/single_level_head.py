"""The seed's head: one grid, an exponential for the size of boxes, whatever the network's depth."""

import torch
from torch import Tensor, nn

from runner.nets.detection.grid import GridPredictions, grid_points


class SingleLevelHead(nn.Module):
    """Predicts from the coarsest map one box and K logits a cell.

    With t the four outputs and g the cell's column or row:
    centre = (sigmoid(t) + g + centre_offset) * stride, size = exp(clamp(t)) * stride.
    """

    def __init__(
        self,
        channels: int,
        stride: int,
        classes: int,
        *,
        dropout: float,
        size_clamp: float,
        centre_offset: float,
        prior: float | None,
    ) -> None:
        """Make the head.

        Args:
            channels: of the coarsest map.
            stride: of that map, pixels.
            classes: K.
            dropout: share of the map's values set to zero in training.
            size_clamp: largest absolute exponent; beyond it the gradient is exactly zero.
            centre_offset: in cells; 0.5 shifts every box by half a cell to the right and down.
            prior: score of every class before training; 0.5 where None.
        """
        super().__init__()
        self.stride = stride
        self.size_clamp = size_clamp
        self.centre_offset = centre_offset
        self.dropout = nn.Dropout(dropout)
        self.predict = nn.Conv2d(channels, 4 + classes, 1)
        nn.init.zeros_(self.predict.bias)  # type: ignore[arg-type]
        if prior is not None:
            with torch.no_grad():
                self.predict.bias[4:] = bias_of(prior)  # type: ignore[index]

    def forward(self, maps: list[Tensor]) -> GridPredictions:
        """Return the predictions of the last of the maps."""
        found = self.predict(self.dropout(maps[-1])).float()
        rows, columns = found.shape[2:]
        found = found.flatten(2).transpose(1, 2)
        points, strides = grid_points([(rows, columns)], [self.stride], found)
        corner = points / self.stride - 0.5
        centre = (found[..., :2].sigmoid() + corner + self.centre_offset) * self.stride
        exponent = found[..., 2:4].clamp(-self.size_clamp, self.size_clamp)
        half = exponent.exp() * self.stride / 2
        boxes = torch.cat([centre - half, centre + half], -1)
        return GridPredictions(boxes, found[..., 4:], points, strides)


def bias_of(prior: float) -> float:
    """Return the logit of a probability. Source: Lin et al. 2017, section 4.1."""
    return float(torch.logit(torch.tensor(prior)))
