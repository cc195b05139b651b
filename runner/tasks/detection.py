"""Detection: boxes with classes, predicted on grids."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from runner.contracts import Batch, DataSpec, Progress
from runner.nets.detection.backbones import Backbone
from runner.nets.detection.box_suppression import Suppression
from runner.nets.detection.grid import GridPredictions, Objects, objects_of
from runner.nets.padding import padded
from runner.task import Outputs, Task, named_terms, normalised
from runner.tasks.detection_panels import panel
from runner.tasks.segmentation import is_channels_last

DetectionLoss = Callable[[GridPredictions, Objects, Progress], Mapping[str, Tensor]]


class Detection(Task):
    """Trains a head's predictions against boxes.

    Attributes:
        backbone: (B, C, H, W) to maps of several strides.
        head: those maps to the predictions at each cell.
        loss: of predictions, objects and progress.
        suppression: what is kept of the predictions.
        display_score: below it a box is not drawn.
    """

    def __init__(
        self,
        spec: DataSpec,
        backbone: Backbone,
        head: nn.Module,
        loss: DetectionLoss,
        *,
        suppression: Suppression,
        display_score: float,
    ) -> None:
        super().__init__(spec)
        self.backbone = backbone
        self.head = head
        self.loss = loss
        self.suppression = suppression
        self.display_score = display_score

    def predictions(self, batch: Batch) -> GridPredictions:
        """Return the head's, of one forward pass; below and to the right images may be padded."""
        image = normalised(batch, channels_last=is_channels_last(self.backbone))
        whole = padded(image, max(self.backbone.strides))
        found: GridPredictions = self.head(self.backbone(whole))
        return found

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the loss's weighted terms."""
        return self._terms(self.predictions(batch), batch, progress)

    def outputs(self, batch: Batch) -> Outputs:
        """Return each sample's boxes, and the scores that they were chosen by."""
        return self._outputs(self.predictions(batch))

    def assess(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Outputs]:
        """Return losses and outputs of one prediction."""
        predictions = self.predictions(batch)
        return self._terms(predictions, batch, progress), self._outputs(predictions)

    def panels(self, batch: Batch, outputs: Outputs) -> Sequence[np.ndarray]:
        """Return image with true and image with predicted boxes, (H, 2 W, 3) uint8 each."""
        assert outputs.boxes is not None, "a detection predicts boxes"
        rows = batch.target["boxes"]
        true = torch.split(rows.values, rows.counts.tolist())
        image = batch.image
        if image.dtype != torch.uint8:
            image = (normalised(batch) * 64 + 128).clamp(0, 255).to(torch.uint8)
        pictures = []
        for one, own, found in zip(image, true, outputs.boxes, strict=True):
            is_shown = found.scores >= self.display_score
            rows_found = torch.cat([found.corners, found.classes[:, None].to(found.corners)], 1)
            arrays = (one, own, rows_found[is_shown])
            pictures.append(panel(*(each.cpu().numpy() for each in arrays)))
        return pictures

    def _terms(
        self, predictions: GridPredictions, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return named_terms("loss", self.loss(predictions, objects_of(batch), progress))

    def _outputs(self, predictions: GridPredictions) -> Outputs:
        boxes, scores = self.suppression(predictions)
        return Outputs(boxes=boxes, scores=scores)
