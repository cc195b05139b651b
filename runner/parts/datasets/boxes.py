"""Datasets of images with boxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from runner.by_class import named_once
from runner.registry import Strict, TransformPart, datasets
from runner.splitting import Splits

if TYPE_CHECKING:
    from runner.contracts import Data, DataContext

Pixels = Annotated[int, Field(gt=0)]
GreyLevel = Annotated[float, Field(ge=0, le=255)]
GreyDeviation = Annotated[float, Field(gt=0, le=255)]


class CsvColumns(Strict):
    """What a CSV file calls its columns."""

    file: str = Field(default="file", description="the image, as a path or a file name")
    x1: str = Field(default="x1", description="left edge, pixels")
    y1: str = Field(default="y1", description="upper edge, pixels")
    x2: str = Field(default="x2", description="right edge, pixels")
    y2: str = Field(default="y2", description="lower edge, pixels")
    kind: str = Field(default="class", description="name of the class")


@datasets.register
def boxes(
    context: DataContext,
    /,
    *,
    root: str,
    images: str,
    annotations: str,
    format: Literal["yolo", "voc", "coco", "csv"],
    classes: Annotated[tuple[str, ...], AfterValidator(named_once)],
    splits: Splits,
    columns: CsvColumns = CsvColumns(),  # noqa: B008 - a frozen value
    size: tuple[Pixels, Pixels] = (640, 640),
    fill: Annotated[int, Field(ge=0, le=255)] = 114,
    transforms: tuple[TransformPart, ...] = (),
    mean: tuple[GreyLevel, GreyLevel, GreyLevel] = (123.675, 116.28, 103.53),
    std: tuple[GreyDeviation, GreyDeviation, GreyDeviation] = (58.395, 57.12, 57.375),
    faulty: Literal["mend", "refuse"] = "mend",
    cache: bool = True,
    allow_leak: bool = False,
) -> Data:
    """Images with boxes in YOLO text, Pascal VOC, COCO or CSV, letterboxed to one size.

    Args:
        root: folder, name in the machine profile, or ``sample:yolov8``.
        images: pattern below root; ``*`` is any part of a name, ``{split}`` the folder of a split.
        annotations: yolo and voc: the file of an image, with ``{stem}`` for its name without
            suffix; coco and csv: the file of all images, or of a ``{split}``.
        format: yolo: ``class cx cy width height`` a line, in shares; voc: XML; coco: JSON; csv:
            a row for each box, corners in pixels.
        classes: names; of yolo in the order of the indices.
        splits: fractions with a seed, lists, or folders.
        columns: of a CSV file.
        size: height and width that every image is letterboxed to.
        fill: grey level around images of other proportions.
        transforms: augmentations of training samples, in order.
        mean: of the channels red, green, blue, in grey levels; subtracted.
        std: of the channels red, green, blue, in grey levels; divided by.
        faulty: mend: leave out degenerate and duplicate boxes, cut off what is outside, and tell;
            refuse: stop at them.
        cache: keep letterboxed images as memory-mapped files.
        allow_leak: let two splits hold the same image.
    """
    from runner.data.boxes.folder import BoxLabels, open_boxes
    from runner.data.boxes.formats import Columns
    from runner.data.boxes.split import BoxView
    from runner.data.cache import ArrayCache

    built = tuple(part.build() for part in transforms)
    if built:
        from runner.data.augmentation import merged

        built = merged(built)
    kept = ArrayCache(context.cache / "boxes") if cache else None
    return open_boxes(
        context.locate(root),
        images,
        BoxLabels(format, annotations, classes, Columns(**dict(columns))),
        splits.rule(),
        BoxView(size, fill, mean, std, kept),
        transforms=built,
        faulty=faulty,
        allow_leak=allow_leak,
    )


@datasets.foretells(boxes)
def _classes(params: Any, _root: Callable[[], Path | None]) -> tuple[str, ...]:
    named: tuple[str, ...] = params.classes
    return named
