"""Segmentation of images and volumes: one class, whatever the number of dimensions."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from runner.contracts import IGNORE, Batch, DataSpec, Loss, Progress
from runner.errors import Problem, RecipeError
from runner.nets.deep_supervision import deeply_supervised_terms
from runner.nets.sliding_window import SlidingWindow, blended_logits
from runner.task import Outputs, Task, named_terms, normalised
from runner.tasks.segmentation_panels import panel


class Segmentation(Task):
    """Trains a model's logits against masks; unlabelled samples are ignored.

    Attributes:
        model: (B, C, *spatial) to (B, K, *spatial); in training it may give a tuple of such, the
            finest first, and is then trained on all of them.
        loss: of logits and mask.
        loss_name: names the term of a loss that has only one.
        window: by which larger images are predicted in an evaluation; None for at once.
    """

    def __init__(
        self,
        spec: DataSpec,
        model: nn.Module,
        loss: Loss,
        *,
        loss_name: str,
        window: SlidingWindow | None = None,
    ) -> None:
        super().__init__(spec)
        self.model = model
        self.loss = loss
        self.loss_name = loss_name
        self.window = window

    def logits(self, batch: Batch) -> Tensor:
        """Return the model's, (B, K, *spatial), of one forward pass."""
        predicted = self.predicted(batch)
        return predicted[0] if isinstance(predicted, tuple) else predicted

    def predicted(self, batch: Batch) -> Tensor | tuple[Tensor, ...]:
        """Return what the model gives: logits, in training perhaps of several levels."""
        image = normalised(batch, channels_last=is_channels_last(self.model))
        predicted: Tensor | tuple[Tensor, ...] = self.model(image)
        self._check(predicted[0] if isinstance(predicted, tuple) else predicted, image)
        return predicted

    def terms(self, predicted: Tensor | tuple[Tensor, ...], mask: Tensor) -> dict[str, Tensor]:
        """Return the loss's weighted terms against a mask.

        Args:
            predicted: of ``predicted``.
            mask: (B, *spatial) int64; 255 is ignored.
        """
        if isinstance(predicted, tuple):
            return deeply_supervised_terms(self.loss_name, self.loss, predicted, mask)
        return named_terms(self.loss_name, self.loss(predicted, mask))

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the loss's weighted terms."""
        del progress  # A segmentation loss is the same throughout the training.
        return self.terms(self.predicted(batch), labelled_mask(batch))

    def outputs(self, batch: Batch) -> Outputs:
        """Return logits, of a large image by windows."""
        return Outputs(logits=self._evaluated_logits(batch))

    def assess(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Outputs]:
        """Return losses and outputs of one prediction."""
        del progress
        logits = self._evaluated_logits(batch)
        # A volume too large for the device was put together, and is scored, on the CPU.
        loss = self._loss_on(logits.device)
        terms = named_terms(self.loss_name, loss(logits, labelled_mask(batch).to(logits.device)))
        moved = {name: term.to(batch.image.device) for name, term in terms.items()}
        return moved, Outputs(logits=logits)

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

    def _check(self, logits: Any, image: Tensor) -> None:
        """Refuse what a model of the user's own may give in place of logits."""
        wanted = (len(image), len(self.spec.classes), *image.shape[2:])
        if not isinstance(logits, Tensor) or logits.shape != wanted:
            what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            message = (
                f"gave {what} for an image of {tuple(image.shape)}; "
                f"return a logit for each class and pixel, {wanted}"
            )
            raise RecipeError(Problem("", "model", message))

    def _loss_on(self, device: torch.device) -> Loss:
        """Return the loss, or a copy of it, with its weights on a device."""
        loss = self.loss
        if not isinstance(loss, nn.Module) or all(own.device == device for own in loss.buffers()):
            return loss
        return copy.deepcopy(loss).to(device)

    def _evaluated_logits(self, batch: Batch) -> Tensor:
        window = self.window
        if window is None or not window.is_exceeded_by(batch.image.shape[2:]):
            return self.logits(batch)

        def of_sample(number: int) -> Tensor:
            own = slice(number, number + 1)
            sample = replace(batch, mean=batch.mean[own], std=batch.std[own])
            # Normalised window by window: as float32 a whole volume takes four times its bytes.
            return blended_logits(
                lambda patches: self.logits(replace(sample, image=patches)),
                batch.image[number],
                window,
            )

        return torch.stack([of_sample(number) for number in range(len(batch))])


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
