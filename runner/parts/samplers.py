"""Samplers: which items an epoch draws, and where it cuts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from runner.by_class import NAMES, listed_classes
from runner.registry import samplers

if TYPE_CHECKING:
    from runner.contracts import Sampler, Split

Share = Annotated[float, Field(ge=0, le=1)]


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        message = f"{list(ends)} is a range: write the smaller end first"
        raise PydanticCustomError("range", "{reason}", {"reason": message})
    return ends


@samplers.register
def shuffled(split: Split, _batch_size: int, /) -> Sampler:
    """Each item once in an epoch, in random order."""
    from runner.data.drawing import Shuffled

    return Shuffled(len(split))


@samplers.register
def random_crops(
    split: Split,
    _batch_size: int,
    /,
    *,
    crops_per_image: Annotated[int, Field(ge=1)] = 1,
) -> Sampler:
    """Crops anywhere, every position equally likely; all crops of an epoch are shuffled.

    Args:
        crops_per_image: crops of each image in an epoch.
    """
    from runner.data.crops import UniformCut
    from runner.data.drawing import Shuffled

    return Shuffled(len(split), crops_per_image, UniformCut())


@samplers.register
def rare_class_crops(
    split: Split,
    _batch_size: int,
    /,
    *,
    classes: Annotated[list[str], Field(min_length=1), NAMES],
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5,
    crops_per_image: Annotated[int, Field(ge=1)] = 1,
) -> Sampler:
    """Crops around a pixel of rare classes with a probability, otherwise anywhere.

    The pixel is drawn uniformly from all of these classes in the image, and lies anywhere in the
    crop with equal probability, as far as the border allows.

    Args:
        classes: names of the rare classes.
        probability: that a crop is taken around one of their pixels, where the image has any.
        crops_per_image: crops of each image in an epoch.
    """
    from runner.data.crops import CentredCut
    from runner.data.drawing import Shuffled
    from runner.errors import RecipeError

    if problems := listed_classes(classes, split.spec.classes, "sampler.params.classes"):
        raise RecipeError(problems)
    known = {name: index for index, name in enumerate(split.spec.classes)}
    cut = CentredCut(tuple(known[name] for name in classes), probability)
    return Shuffled(len(split), crops_per_image, cut)


@samplers.register
def random_patches(
    split: Split,
    _batch_size: int,
    /,
    *,
    patches_per_volume: Annotated[int, Field(ge=1)] = 1,
) -> Sampler:
    """Patches anywhere, every position equally likely; all patches of an epoch are shuffled.

    Args:
        patches_per_volume: patches of each volume in an epoch.
    """
    from runner.data.crops import UniformCut
    from runner.data.drawing import Shuffled

    return Shuffled(len(split), patches_per_volume, UniformCut())


@samplers.register
def foreground_patches(
    split: Split,
    _batch_size: int,
    /,
    *,
    tries: Annotated[int, Field(ge=1)] = 10,
    target: Share = 0.5,
    accepted: Annotated[tuple[Share, Share], AfterValidator(_ascending)] = (0.3, 0.7),
    patches_per_volume: Annotated[int, Field(ge=1)] = 1,
) -> Sampler:
    """The best of several random patches by their share of foreground, every class but the first.

    Args:
        tries: patches looked at, at most.
        target: share of foreground among all voxels that is best.
        accepted: the first patch with a share from here to there is taken at once.
        patches_per_volume: patches of each volume in an epoch.
    """
    from runner.data.drawing import Shuffled
    from runner.data.volumes.patches import ForegroundCut
    from runner.errors import Problem, RecipeError

    if not accepted[0] <= target <= accepted[1]:
        message = f"{target:g} is not within accepted: {list(accepted)}; widen it, or move target"
        raise RecipeError(Problem("", "sampler.params.target", message))
    return Shuffled(len(split), patches_per_volume, ForegroundCut(tries, target, accepted))


@samplers.register
def balanced_patches(
    split: Split,
    _batch_size: int,
    /,
    *,
    tries: Annotated[int, Field(ge=1)] = 10,
    patches_per_volume: Annotated[int, Field(ge=1)] = 1,
) -> Sampler:
    """In turns a patch around a voxel of foreground, every class but the first, and one anywhere.

    Args:
        tries: patches that are searched for foreground, at most.
        patches_per_volume: patches of each volume in an epoch.
    """
    from runner.data.crops import UniformCut
    from runner.data.drawing import Shuffled
    from runner.data.volumes.patches import Alternating, AroundForegroundCut

    order = Shuffled(len(split), patches_per_volume)
    return Alternating(order, (AroundForegroundCut(tries), UniformCut()))


@samplers.register
def sequential_points(
    split: Split,
    _batch_size: int,
    /,
    *,
    done_mode: Literal["mixed", "regression", "classification", "balanced"] = "balanced",
    done_share: Annotated[float, Field(gt=0, lt=1)] | None = None,
    draws_per_epoch: Annotated[int, Field(ge=1)] | None = None,
) -> Sampler:
    """Steps of pointing: images in random order, some of their N objects marked, the next wanted.

    Args:
        done_mode: mixed: 0 to N are marked; regression: fewer than N; classification: N or N - 1;
            balanced: N in a share of the draws, fewer in the others.
        done_share: of the draws of balanced in which all are marked; 0.5 where not set.
        draws_per_epoch: each image once where null.
    """
    from runner.data.points.draws import PointingOrder, choice
    from runner.data.points.split import PointTrainSplit
    from runner.errors import Problem, RecipeError

    problems = []
    if done_share is not None and done_mode != "balanced":
        message = f"{done_mode} has its own share; remove this key, or write done_mode: balanced"
        problems.append(Problem("", "sampler.params.done_share", message))
    if not isinstance(split, PointTrainSplit):
        message = "marks the objects of a data set of points; use another sampler, or data: points"
        problems.append(Problem("", "sampler.name", message))
    if problems:
        raise RecipeError(problems)
    share = 0.5 if done_share is None else done_share
    return PointingOrder(len(split), draws_per_epoch, choice(done_mode, share))


@samplers.register
def two_streams(
    split: Split,
    batch_size: int,
    /,
    *,
    labelled_per_batch: Annotated[int, Field(ge=1)] | None = None,
    draws_per_epoch: Annotated[int, Field(ge=1)] | None = None,
) -> Sampler:
    """Labelled and unlabelled items in every batch, so many of each; the shorter stream recurs.

    Args:
        labelled_per_batch: items of a batch that are labelled, the others are not; half of
            them, rounded down, where null.
        draws_per_epoch: items of both kinds; each unlabelled item once where null. Rounded up to
            whole batches.
    """
    from runner.data.drawing import TwoStreams
    from runner.errors import DataError, Problem, RecipeError

    labelled = batch_size // 2 if labelled_per_batch is None else labelled_per_batch
    if not 0 < labelled < batch_size:
        message = (
            f"a batch of {batch_size} cannot hold {labelled or 1} labelled items and at least one "
            "that is not; write another share, or a larger train.batch_size"
        )
        raise RecipeError(Problem("", "sampler.params.labelled_per_batch", message))
    kinds: dict[bool, list[int]] = {True: [], False: []}
    for index, is_labelled in enumerate(split.is_labelled):
        kinds[is_labelled].append(index)
    for kind, name, cure in (
        (True, "labelled", "add masks, or correct data.params.labels"),
        (False, "unlabelled", "add images without masks, or take a sampler of labelled ones alone"),
    ):
        if not kinds[kind]:
            message = f"draws labelled and unlabelled images, and none of the training is {name}"
            raise DataError(Problem("", "sampler.name", f"{message}; {cure}"))
    unlabelled = batch_size - labelled
    batches = -(-len(kinds[False]) // unlabelled)
    if draws_per_epoch is not None:
        batches = -(-draws_per_epoch // batch_size)
    return TwoStreams(tuple(kinds[True]), tuple(kinds[False]), labelled, unlabelled, batches)
