"""Datasets of images with masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from runner.registry import TransformPart, datasets
from runner.splitting import Splits

if TYPE_CHECKING:
    from runner.contracts import Data, DataContext

Pixels = Annotated[int, Field(gt=0)]
GreyLevel = Annotated[float, Field(ge=0, le=255)]
GreyDeviation = Annotated[float, Field(gt=0, le=255)]
Identifier = Annotated[int, Field(ge=0, le=65535)]
Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]


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
    classes: list[str] | dict[str, list[Identifier | Colour]] | None = None,
    resize: tuple[Pixels, Pixels] | None = None,
    crop: tuple[Pixels, Pixels] | None = None,
    validation: Literal["tiles", "squash"] = "tiles",
    transforms: tuple[TransformPart, ...] = (),
    mean: tuple[GreyLevel, GreyLevel, GreyLevel] = (123.675, 116.28, 103.53),
    std: tuple[GreyDeviation, GreyDeviation, GreyDeviation] = (58.395, 57.12, 57.375),
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
        mean: of the channels red, green, blue, in grey levels; subtracted.
        std: of the channels red, green, blue, in grey levels; divided by.
        cache: keep decoded images as memory-mapped files.
        allow_leak: let two splits hold the same image.
    """
    from runner.data.pairs import Layout
    from runner.data.segmentation_folder import Labels, View, open_folder

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
