"""From a grid's predictions to the boxes of each image: threshold, suppression, limit."""

from dataclasses import dataclass

from torch import Tensor
from torchvision.ops import batched_nms

from runner.nets.detection.grid import GridPredictions
from runner.task import Boxes


@dataclass(frozen=True)
class Suppression:
    """Which predictions of an image are kept.

    Attributes:
        min_score: below it a prediction is dropped.
        max_iou: of two boxes of one class that overlap more, the lower is dropped; None keeps all.
        candidates: highest scores that are looked at, at most.
        max_boxes: kept, at most.
    """

    min_score: float
    max_iou: float | None
    candidates: int
    max_boxes: int

    def __call__(self, predictions: GridPredictions) -> tuple[list[Boxes], Tensor]:
        """Return each image's boxes, and the best score of each place before anything is dropped.

        A place gives one box, of its best class.
        """
        scores, classes = predictions.logits.sigmoid().max(-1)
        samples = zip(predictions.boxes, scores, classes, strict=True)
        return [self._kept(*sample) for sample in samples], scores

    def _kept(self, corners: Tensor, scores: Tensor, classes: Tensor) -> Boxes:
        scores, order = scores.topk(min(self.candidates, len(scores)))
        order = order[scores >= self.min_score]
        scores, corners, classes = scores[: len(order)], corners[order], classes[order]
        if self.max_iou is not None:
            kept = batched_nms(corners, scores, classes, self.max_iou)
            corners, scores, classes = corners[kept], scores[kept], classes[kept]
        most = self.max_boxes
        return Boxes(corners[:most], scores[:most], classes[:most])
