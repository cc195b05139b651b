"""Tasks that a recipe can name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.contracts import DataSpec
from runner.registry import LossPart, ModelPart, tasks

if TYPE_CHECKING:
    from runner.task import Task


@tasks.register
def segmentation(spec: DataSpec, /, *, model: ModelPart, loss: LossPart) -> Task:
    """A class for each pixel of an image or voxel of a volume.

    Args:
        model: from image to one logit for each class and pixel.
        loss: of the logits against the mask.
    """
    from runner.tasks.segmentation import Segmentation

    return Segmentation(spec, model.build(spec), loss.build(spec), loss_name=loss.name)
