"""Datasets of images with masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from runner.by_class import IGNORED, named_once
from runner.registry import Strict, TransformPart, datasets
from runner.samples import IGNORE
from runner.splitting import SplitName, Splits

if TYPE_CHECKING:
    from runner.contracts import Data, DataContext

Pixels = Annotated[int, Field(gt=0)]
GreyLevel = Annotated[float, Field(ge=0, le=255)]
GreyDeviation = Annotated[float, Field(gt=0, le=255)]
Greys = tuple[GreyLevel, GreyLevel, GreyLevel]
GreyDeviations = tuple[GreyDeviation, GreyDeviation, GreyDeviation]
Identifier = Annotated[int, Field(ge=0, le=65535)]
Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]
Classes = list[str] | dict[str, list[Identifier | Colour]]
Leaks = tuple[Literal["shared_image", "shared_source", "validation_unlabelled"], ...]

SIZE_STEP_PX = 32
"""Between the sizes of multi-scale training: what the coarsest maps of most networks divide by."""


def _stepped(ends: tuple[int, int]) -> tuple[int, int]:
    if ends[0] > ends[1] or ends[0] % SIZE_STEP_PX or ends[1] % SIZE_STEP_PX:
        message = (
            f"{list(ends)} are the smallest and the largest edge: write the smaller first, "
            f"both multiples of {SIZE_STEP_PX}"
        )
        raise PydanticCustomError("range", "{reason}", {"reason": message})
    return ends


def _of_masks(classes: Classes | None) -> Classes | None:
    if len(set(named_once(classes) or ()) - {IGNORED}) > IGNORE:
        message = f"names {len(classes or ())} classes; a mask tells {IGNORE} apart at most"
        raise PydanticCustomError("classes", "{reason}", {"reason": message})
    return classes


class SourceSplits(Splits):
    """Which split an image belongs to: exactly one of fractions, lists, folders."""

    by: Literal["source", "image"] = Field(
        default="source",
        description="what fractions deal out: sources, whole; or image by image, which leaks",
    )

    @model_validator(mode="after")
    def _belongs_to_fractions(self) -> SourceSplits:
        if self.by == "image" and self.fractions is None:
            reason = "by: image belongs to fractions; leave it out"
            raise PydanticCustomError("splits", "{reason}", {"reason": reason})
        return self


class LabelLists(Strict):
    """Text files that name an image a line; all that one of them does not name is the other."""

    labelled: str | None = Field(default=None, description="images that are trained on with masks")
    unlabelled: str | None = Field(
        default=None, description="images whose masks, where they have any, are withheld"
    )


@datasets.register
def segmentation_folder(
    context: DataContext,
    /,
    *,
    root: str,
    images: str,
    masks: str,
    splits: Splits,
    mask_format: Literal["index", "rgb"] = "index",
    mapping: str | None = None,
    classes: Annotated[Classes | None, AfterValidator(_of_masks)] = None,
    resize: tuple[Pixels, Pixels] | None = None,
    crop: tuple[Pixels, Pixels] | None = None,
    validation: Literal["tiles", "squash"] = "tiles",
    transforms: tuple[TransformPart, ...] = (),
    mean: Greys | None = (123.675, 116.28, 103.53),
    std: GreyDeviations | None = (58.395, 57.12, 57.375),
    cache: bool = True,
    allow_leak: bool = False,
) -> Data:
    """Images with masks of the same size, in folders.

    Args:
        root: folder, name in the machine profile, or ``sample:uav``.
        images: pattern below root; ``*`` is any part of a name, ``{split}`` the folder of a split.
        masks: the mask of an image; ``{stem}`` is its name without suffix, the n-th ``*`` what
            the n-th ``*`` of images stands for.
        splits: fractions with a seed, lists, or folders.
        mask_format: index: a pixel holds an id; rgb: a colour.
        mapping: CSV below root, a line for each id or colour: source_id (or r, g, b),
            source_name (or name), target_id, target_name; target 255 is ignored.
        classes: in place of mapping: each class with its ids or colours, those of a class
            called ignore ignored; or names alone, where masks hold class indices and 255 is
            ignored.
        resize: height and width that every image is brought to first; null keeps its own.
        crop: height and width of a training crop and of a validation tile; null takes whole images.
        validation: tiles: whole images at the training scale, every pixel once; squash: each
            image brought to the size of a crop.
        transforms: augmentations of training samples, in order.
        mean: of the channels red, green, blue, in grey levels; subtracted. null: each crop's
            (or tile's) own, over all channels, so that dark and bright ones look alike.
        std: of the channels red, green, blue, in grey levels; divided by. null: each crop's.
        cache: keep decoded images as memory-mapped files.
        allow_leak: let two splits hold the same image.
    """
    from runner.data.pairs import Layout
    from runner.data.segmentation.folder import Labels, View, open_folder

    built = tuple(part.build() for part in transforms)
    if built:
        from runner.data.augmentation import merged

        built = merged(built)
    return open_folder(
        context.locate(root),
        Layout(images, masks),
        Labels(mask_format, mapping, classes),
        splits.rule(),
        View(resize, crop, validation, mean, std, built),
        context.cache / "segmentation" if cache else None,
        allow_leak,
    )


@datasets.register
def partly_labelled_folder(
    context: DataContext,
    /,
    *,
    root: str,
    images: str,
    masks: str,
    splits: SourceSplits,
    source: str | None = None,
    labels: LabelLists = LabelLists(),  # noqa: B008 - a frozen value
    unlabelled_splits: tuple[SplitName, ...] = ("train",),
    mask_format: Literal["index", "rgb"] = "index",
    mapping: str | None = None,
    classes: Annotated[Classes | None, AfterValidator(_of_masks)] = None,
    resize: tuple[Pixels, Pixels] | None = None,
    crop: tuple[Pixels, Pixels] | None = None,
    multi_scale: Annotated[tuple[Pixels, Pixels], AfterValidator(_stepped)] | None = None,
    validation: Literal["tiles", "squash"] = "tiles",
    transforms: tuple[TransformPart, ...] = (),
    strong: tuple[TransformPart, ...] = (),
    mean: Greys | None = (123.675, 116.28, 103.53),
    std: GreyDeviations | None = (58.395, 57.12, 57.375),
    cache: bool = True,
    allow_leak: Leaks = (),
) -> Data:
    """Images of which few have masks, in folders; the others are trained on without.

    Args:
        root: folder, name in the machine profile, or ``sample:s4gan``.
        images: pattern below root; ``*`` is any part of a name, ``{split}`` the folder of a split.
        masks: the mask of an image; ``{stem}`` is its name without suffix, the n-th ``*`` what
            the n-th ``*`` of images stands for.
        splits: of labelled images: fractions with a seed, lists, or folders.
        source: pattern of an image's name below root, with ``{source}`` for what a patch was cut
            from, such as ``*/images/{source}_*_*.png``; all that varies up to there tells sources
            apart. null: each image stands alone.
        labels: lists of images with and without mask to train on; without one, an image that has
            no mask file is unlabelled. Masks of unlabelled images serve figures alone.
        unlabelled_splits: splits whose images are drawn without masks; any but train leaks.
        mask_format: index: a pixel holds an id; rgb: a colour.
        mapping: CSV below root, a line for each id or colour: source_id (or r, g, b),
            source_name (or name), target_id, target_name; target 255 is ignored.
        classes: in place of mapping: each class with its ids or colours, those of a class
            called ignore ignored; or names alone, where masks hold class indices and 255 is
            ignored.
        resize: height and width that every image is brought to first; null keeps its own.
        crop: height and width of a training crop and of a validation tile; null takes whole images.
        multi_scale: smallest and largest edge of a square that training crops are brought to, in
            steps of 32, drawn anew for each batch; null leaves crops as they are.
        validation: tiles: whole images at the training scale, every pixel once; squash: each
            image brought to the size of a crop.
        transforms: augmentations of training samples, in order: the weak view.
        strong: augmentations that change colours alone, after those: the strong view, which
            self-training shows to the student; none where empty.
        mean: of the channels red, green, blue, in grey levels; subtracted. null: each crop's
            (or tile's) own, over all channels, so that dark and bright ones look alike.
        std: of the channels red, green, blue, in grey levels; divided by. null: each crop's.
        cache: keep decoded images as memory-mapped files.
        allow_leak: kinds of leak that are let be: shared_image: two splits hold an image;
            shared_source: two splits hold images of a source; validation_unlabelled: an image
            that is measured by is trained on without its mask.
    """
    from runner.data.augmentation import merged
    from runner.data.pairs import Layout
    from runner.data.segmentation.folder import Labels, View
    from runner.data.segmentation.partly_labelled import open_partly_labelled
    from runner.data.segmentation.partly_labelled_streams import Choice
    from runner.errors import Problem, RecipeError

    steps = [part.build() for part in strong]
    moving = [
        Problem(
            "",
            f"data.params.strong.{place}",
            f"{part.name} moves pixels, and labels of the weak view are for the strong one, too; "
            "write it under transforms",
        )
        for place, (part, step) in enumerate(zip(strong, steps, strict=True))
        if getattr(step, "moves_pixels", False)
    ]
    if moving:
        raise RecipeError(moving)
    smallest, largest = multi_scale or (0, -1)
    view = View(
        resize, crop, validation, mean, std, merged([part.build() for part in transforms]),
        merged(steps), tuple(range(smallest, largest + 1, SIZE_STEP_PX)),
    )  # fmt: skip
    is_by_source = splits.by == "source"
    return open_partly_labelled(
        context.locate(root),
        Layout(images, masks),
        Labels(mask_format, mapping, classes),
        splits.rule(),
        Choice(labels.labelled, labels.unlabelled, source, is_by_source, unlabelled_splits),
        view,
        context.cache / "segmentation" if cache else None,
        allow_leak,
    )


@datasets.foretells(segmentation_folder)
@datasets.foretells(partly_labelled_folder)
def _classes(params: Any, root: Callable[[], Path | None]) -> tuple[str, ...] | None:
    if isinstance(params.classes, dict):
        return tuple(name for name in params.classes if name != IGNORED)
    if params.classes is not None:
        return tuple(params.classes)
    folder = root() if params.mapping is not None else None
    if folder is None or not (folder / params.mapping).is_file():
        return None
    from runner.data.segmentation.classes import read_mapping
    from runner.errors import DataError

    try:
        return read_mapping(folder / params.mapping, params.mask_format).classes
    except DataError:
        return None  # told with the other files, once they are read
