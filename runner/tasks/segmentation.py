"""Segmentation of images and volumes: one class, whatever the number of dimensions."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from runner.contracts import IGNORE, Batch, DataSpec, Loss, Progress
from runner.task import Outputs, Task, named_terms, normalised
from runner.tasks.segmentation_panels import panel


class Segmentation(Task):
    """Trains a model's logits against masks; unlabelled samples are ignored.

    Attributes:
        model: (B, C, *spatial) to (B, K, *spatial).
        loss: of logits and mask.
        loss_name: names the term of a loss that has only one.
    """

    def __init__(self, spec: DataSpec, model: nn.Module, loss: Loss, *, loss_name: str) -> None:
        super().__init__(spec)
        self.model = model
        self.loss = loss
        self.loss_name = loss_name

    def logits(self, batch: Batch) -> Tensor:
        """Return the model's, (B, K, *spatial)."""
        image = normalised(batch, channels_last=is_channels_last(self.model))
        logits: Tensor = self.model(image)
        return logits

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the loss's weighted terms."""
        del progress  # A segmentation loss is the same throughout the training.
        return self._terms(self.logits(batch), batch)

    def outputs(self, batch: Batch) -> Outputs:
        """Return logits."""
        return Outputs(logits=self.logits(batch))

    def assess(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Outputs]:
        """Return losses and outputs of one forward pass."""
        del progress
        logits = self.logits(batch)
        return self._terms(logits, batch), Outputs(logits=logits)

    def panels(self, batch: Batch, outputs: Outputs) -> Sequence[np.ndarray]:
        """Return image, truth and prediction of each sample side by side, (H, 3 W, 3) uint8.

        Of a volume the middle slice is shown.
        """
        assert outputs.logits is not None, "a segmentation predicts logits"
        predicted, mask = outputs.logits.argmax(1), labelled_mask(batch)
        image = batch.image if batch.image.dtype == torch.uint8 else _displayed(batch)
        if self.spec.dimensions == 3:
            middle = image.shape[2] // 2
            image, mask, predicted = image[:, :, middle], mask[:, middle], predicted[:, middle]
        arrays = (each.cpu().numpy() for each in (image, mask, predicted))
        return [panel(*each) for each in zip(*arrays, strict=True)]

    def _terms(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        return named_terms(self.loss_name, self.loss(logits, labelled_mask(batch)))


def labelled_mask(batch: Batch) -> Tensor:
    """Return the masks, (B, *spatial) int64, 255 throughout where a sample is not labelled."""
    mask: Tensor = batch.target["mask"].long()
    return mask.masked_fill(~batch.is_labelled.view(-1, *[1] * (mask.ndim - 1)), IGNORE)


def is_channels_last(model: nn.Module) -> bool:
    """Return whether the model was converted to channels_last; read from its convolutions."""
    for parameter in model.parameters():
        if parameter.ndim not in (4, 5):
            continue
        kind = torch.channels_last if parameter.ndim == 4 else torch.channels_last_3d
        is_converted = parameter.is_contiguous(memory_format=kind)
        # Of one pixel, or one channel, a kernel is laid out both ways and tells nothing.
        if is_converted != parameter.is_contiguous():
            return is_converted
    return False


def _displayed(batch: Batch) -> Tensor:
    """Return images as bytes: the data set's mean grey, two standard deviations to each end."""
    return (normalised(batch) * 64 + 128).clamp(0, 255).to(torch.uint8)
