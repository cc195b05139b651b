"""Tasks that a recipe can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.contracts import DataSpec
from runner.registry import LossPart, ModelPart, Strict, tasks

if TYPE_CHECKING:
    from runner.task import Task


class Window(Strict):
    """A sliding window over images too large to be predicted at once."""

    size: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=3)]
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch: Annotated[int, Field(gt=0)] = 1


@tasks.register
def segmentation(
    spec: DataSpec, /, *, model: ModelPart, loss: LossPart, window: Window | None = None
) -> Task:
    """A class for each pixel of an image or voxel of a volume.

    Args:
        model: from image to one logit for each class and pixel.
        loss: of the logits against the mask.
        window: size in pixels, overlap (a share) and batch (windows at once) by which larger
            images are evaluated, blended by a Gaussian; without one they are taken whole.
    """
    from runner.errors import Problem, RecipeError
    from runner.nets.sliding_window import SlidingWindow
    from runner.tasks.segmentation import Segmentation

    sliding = None
    if window is not None:
        if len(window.size) != spec.dimensions:
            given, wanted = len(window.size), spec.dimensions
            message = f"has {given} edges, but the data have {wanted} dimensions"
            raise RecipeError(Problem("", "window.size", message))
        sliding = SlidingWindow(tuple(window.size), window.overlap, window.batch)
    return Segmentation(
        spec, model.build(spec), loss.build(spec), loss_name=loss.name, window=sliding
    )
