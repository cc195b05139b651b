"""Tasks that a recipe can name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from runner.by_class import THRESHOLDS
from runner.errors import Problem, RecipeError
from runner.registry import LossPart, ModelPart, OptimizerPart, Strict, TaskPart, tasks

if TYPE_CHECKING:
    from runner.contracts import DataSpec
    from runner.task import Task
    from runner.tasks.segmentation import Segmentation


Score = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]


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
    from runner.nets.sliding_window import SlidingWindow
    from runner.tasks.segmentation import Segmentation

    sliding = None
    if window is not None:
        if len(window.size) != spec.dimensions:
            given, wanted = len(window.size), spec.dimensions
            message = f"has {given} edges, but the data have {wanted} dimensions; write {wanted}"
            raise RecipeError(Problem("", "window.size", message))
        sliding = SlidingWindow(tuple(window.size), window.overlap, window.batch)
    return Segmentation(
        spec, model.build(spec), loss.build(spec), loss_name=loss.name, window=sliding
    )


@tasks.register
def detection(
    spec: DataSpec,
    /,
    *,
    backbone: ModelPart,
    head: ModelPart,
    loss: LossPart,
    min_score: Score = 0.001,
    nms_iou: Annotated[float, Field(gt=0, le=1)] | None = 0.7,
    candidates: Annotated[int, Field(ge=1)] = 1000,
    max_boxes: Annotated[int, Field(ge=1)] = 300,
    display_score: Score = 0.25,
) -> Task:
    """Boxes with classes.

    Args:
        backbone: from image to maps of several strides.
        head: from those maps to boxes and logits.
        loss: of the predictions against the true boxes.
        min_score: boxes below it are never predicted; metrics have thresholds of their own.
        nms_iou: of two boxes of a class that overlap more, the lower score is dropped; null
            keeps all.
        candidates: highest scores of an image that are looked at, at most.
        max_boxes: boxes of an image, at most.
        display_score: boxes below it are not drawn.
    """
    from runner.nets.detection.backbones import Backbone
    from runner.nets.detection.box_suppression import Suppression
    from runner.tasks.detection import Detection

    built = backbone.build(spec)
    if not isinstance(built, Backbone):
        message = f"{backbone.name} gives no maps; use timm_backbone or conv_backbone"
        raise RecipeError(Problem("", "backbone.name", message))
    if not _takes_a_backbone(head):
        message = f"{head.name} is no detector's head; use yolov8_head or single_level_head"
        raise RecipeError(Problem("", "head.name", message))
    suppression = Suppression(min_score, nms_iou, candidates, max_boxes)
    return Detection(
        spec, built, head.build(spec, built), loss.build(spec),
        suppression=suppression, display_score=display_score,
    )  # fmt: skip


def _takes_a_backbone(head: ModelPart) -> bool:
    given = inspect.signature(head.factory).parameters.values()
    return sum(each.kind is each.POSITIONAL_ONLY for each in given) == 2


@tasks.register
def pointing(
    spec: DataSpec,
    /,
    *,
    model: ModelPart,
    loss: LossPart,
    heatmap_weight: NotNegative = 0.0,
    done_weight: NotNegative = 1.0,
    done_positive_weight: Annotated[float, Field(gt=0)] = 1.0,
    point_when_done: Literal["masked", "centre"] = "masked",
    count_limit: Annotated[int, Field(ge=1)] = 100,
) -> Task:
    """The next object's place, and whether there is one left.

    Args:
        model: from image to one place and a done logit.
        loss: of the place against the true one: mse, distance_hinge or huber_distance.
        heatmap_weight: of the distance of the heatmap, whose mean the place is, from one peak at
            the true place; beside the loss of the place.
        done_weight: of the done signal's cross-entropy, beside the loss of the place.
        done_positive_weight: within it, of samples that are done.
        point_when_done: what the place is trained on where nothing is left: masked, nothing;
            centre, the middle of the canvas.
        count_limit: objects at which counting by pointing ends, done or not.
    """
    from runner.data.points.split import PointSpec
    from runner.errors import Problem, RecipeError
    from runner.tasks.pointing import Pointing

    if not isinstance(spec, PointSpec):
        message = "points at objects, but the data are no points; write data: {name: points}"
        raise RecipeError(Problem("", "name", message))
    return Pointing(
        spec, model.build(spec), loss.build(spec), loss_name="point",
        heatmap_weight=heatmap_weight, done_weight=done_weight,
        done_positive_weight=done_positive_weight, point_when_done=point_when_done,
        count_limit=count_limit,
    )  # fmt: skip


@tasks.register
def self_training(
    spec: DataSpec,
    /,
    *,
    task: TaskPart,
    thresholds: Annotated[Score | dict[str, Score], THRESHOLDS],
    weight: NotNegative = 1.0,
    start_step: Annotated[int, Field(ge=0)] = 0,
    teacher_decay: Annotated[float, Field(ge=0, lt=1)] | None = 0.999,
    evaluate: Literal["student", "teacher"] = "student",
) -> Task:
    """A segmentation that also learns from labels it gives to unlabelled images.

    Args:
        task: the segmentation.
        thresholds: by class, or one for all: a pixel's label is believed where its probability is
            above that of its class; 0 believes all.
        weight: of the loss of pseudo-labels; it is the segmentation's own.
        start_step: from which on they are trained on, of the plan as written.
        teacher_decay: of the averaged weights that label, per step, once the ramp
            (1+t)/(10+t) has reached it; null: the trained weights label by themselves.
        evaluate: whose predictions evaluations look at.
    """
    from runner.nets.class_weights import figures_by_class
    from runner.tasks.self_training import SelfTraining

    if evaluate == "teacher" and teacher_decay is None:
        message = "there is no teacher; write teacher_decay, or evaluate: student"
        raise RecipeError(Problem("", "evaluate", message))
    if isinstance(thresholds, dict):
        by_class = figures_by_class(thresholds, spec, key="thresholds", what="threshold")
    else:
        by_class = (thresholds,) * len(spec.classes)
    return SelfTraining(
        spec, _segmentation(task, spec), thresholds=by_class, weight=weight,
        start_step=start_step, teacher_decay=teacher_decay,
        evaluates_teacher=evaluate == "teacher",
    )  # fmt: skip


@tasks.register
def adversarial(
    spec: DataSpec,
    /,
    *,
    task: TaskPart,
    discriminator: ModelPart,
    discriminator_optimizer: OptimizerPart,
    matching_weight: NotNegative = 0.1,
    pseudo_weight: NotNegative = 1.0,
    threshold: Score = 0.6,
    start_step: Annotated[int, Field(ge=0)] = 0,
) -> Task:
    """A segmentation that learns from its labels of images which a discriminator takes for true.

    Args:
        task: the segmentation; the recipe's optimizer trains it.
        discriminator: of true and predicted masks: mask_discriminator.
        discriminator_optimizer: trains the discriminator, on the recipe's schedule.
        matching_weight: of the distance between mean features of true and of predicted masks.
        pseudo_weight: of the loss of pseudo-labels; it is the segmentation's own.
        threshold: probability of being true above which a whole image's labels are believed.
        start_step: from which on they are trained on, of the plan as written.
    """
    from runner.nets.discriminator import Discriminator
    from runner.tasks.adversarial import Adversarial, Weights

    judge = discriminator.build(spec)
    if not isinstance(judge, Discriminator):
        message = f"{discriminator.name} judges no masks; use mask_discriminator"
        raise RecipeError(Problem("", "discriminator.name", message))
    return Adversarial(
        spec, _segmentation(task, spec), judge, optimizer=discriminator_optimizer,
        weights=Weights(matching_weight, pseudo_weight), threshold=threshold,
        start_step=start_step,
    )  # fmt: skip


def _segmentation(task: TaskPart, spec: DataSpec) -> Segmentation:
    from runner.tasks.segmentation import Segmentation

    built = task.build(spec)
    if not isinstance(built, Segmentation):
        message = f"{task.name} cannot label pixels; write task: {{name: segmentation}}"
        raise RecipeError(Problem("", "params.task.name", message))
    return built


@tasks.foretells(segmentation)
@tasks.foretells(detection)
def _nothing_further(_params: Any, _classes: Sequence[str]) -> list[str]:
    return []


@tasks.foretells(pointing)
def _of_steps(_params: Any, _classes: Sequence[str]) -> list[str]:
    return ["mse"]


@tasks.foretells(self_training)
def _of_own_labels(_params: Any, classes: Sequence[str]) -> list[str]:
    kinds = ("accepted", "precision")
    of_classes = [f"pseudo/{kind}/{name}" for kind in kinds for name in classes]
    return ["miou", "pseudo/accepted", "pseudo/count", "pseudo/precision", *of_classes]


@tasks.foretells(adversarial)
def _of_judged_labels(params: Any, classes: Sequence[str]) -> list[str]:
    own = ("pseudo/images", "discriminator/accuracy")
    return [*_of_own_labels(params, classes), *own]
