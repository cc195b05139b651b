"""Datasets of images whose objects are pointed at one after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from runner.registry import datasets
from runner.splitting import Splits

if TYPE_CHECKING:
    from runner.contracts import Data, DataContext

Pixels = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
GreyLevel = Annotated[float, Field(ge=0, le=255)]
GreyDeviation = Annotated[float, Field(gt=0, le=255)]
Level = Annotated[int, Field(ge=0, le=255)]

CLASSES = ("object",)


class PointSplits(Splits):
    """Which split an image belongs to; lists may be JSON files with a list under each split."""

    @model_validator(mode="after")
    def _lists_are_alike(self) -> PointSplits:
        files = [file for file in (self.lists or {}).values() if file]
        json_files = [file for file in files if file.endswith(".json")]
        if json_files and len(json_files) < len(files):
            reason = (
                f"lists are all JSON or all text files, and {json_files[0]} is JSON; convert it, "
                "or take a base's away with null (test: null)"
            )
            raise PydanticCustomError("splits", "{reason}", {"reason": reason})
        return self


@datasets.register
def points(
    context: DataContext,
    /,
    *,
    root: str,
    format: Literal["fsc147", "csv", "json", "coco", "voc", "yolo", "dots"],
    images: str,
    annotations: str,
    splits: PointSplits,
    categories: list[str] | None = None,
    canvas: tuple[Pixels, Pixels] = (384, 384),
    order: Literal["rows", "top_to_bottom", "as_given"] = "rows",
    row_px: Annotated[float, Field(gt=0)] = 50.0,
    mark_radius_px: Annotated[int, Field(ge=1, le=256)] = 12,
    mark_color: tuple[Level, Level, Level] = (255, 255, 0),
    flip: Share = 0.0,
    validation_draws: Pixels = 1000,
    validation_done_share: Share = 0.25,
    counted_images: Annotated[int, Field(ge=0)] = 0,
    mean: tuple[GreyLevel, GreyLevel, GreyLevel] = (123.675, 116.28, 103.53),
    std: tuple[GreyDeviation, GreyDeviation, GreyDeviation] = (58.395, 57.12, 57.375),
    cache: bool = True,
    allow_leak: bool = False,
) -> Data:
    """Images with a point for each object; boxes count as their middles.

    Args:
        root: folder, name in the machine profile, or ``sample:pointer``.
        format: of the annotations: fsc147, csv (file,x,y), json ({image: [[x, y], ...]}), coco;
            or, with a file for each image, voc, yolo, dots (images, a blob of pixels each).
        images: pattern below root; ``*`` is any part of a name, ``{split}`` the folder of a split.
        annotations: the file below root; of voc, yolo and dots that of an image: ``{stem}`` is
            its name without suffix, the n-th ``*`` what the n-th ``*`` of images stands for.
        splits: fractions with a seed, lists, or folders.
        categories: of the boxes that count (of yolo: numbers); all where null.
        canvas: height and width that every image is fitted into, its proportions kept.
        order: of pointing: rows, from left to right in each; top_to_bottom; as_given.
        row_px: height of a row, in pixels of the image; read by the order rows.
        mark_radius_px: of the numbered discs that cover what was pointed at, on the canvas.
        mark_color: red, green, blue of the discs.
        flip: probability that a training image is mirrored; objects are ordered afterwards.
        validation_draws: steps of pointing that an evaluation scores, always the same ones.
        validation_done_share: of them in which all objects are marked.
        counted_images: images whose objects an evaluation counts by pointing until done.
        mean: of the channels red, green, blue, in grey levels; subtracted.
        std: of the channels red, green, blue, in grey levels; divided by.
        cache: keep scaled images as memory-mapped files.
        allow_leak: let two splits hold the same image.
    """
    from runner.data.cache import ArrayCache
    from runner.data.points.folder import Looks, open_points
    from runner.data.points.marks import Mark
    from runner.data.points.match import Annotations
    from runner.data.points.split import PointSpec, PointView

    spec = PointSpec(CLASSES, mark=Mark(mark_radius_px, mark_color))
    kept = ArrayCache(context.cache / "points") if cache else None
    return open_points(
        context.locate(root),
        images,
        Annotations(format, annotations, categories),
        splits.rule(),
        PointView(spec, canvas, order, row_px, mean, std, kept, flip),
        Looks(validation_draws, validation_done_share, counted_images),
        allow_leak,
    )


@datasets.foretells(points)
def _classes(_params: Any, _root: Callable[[], Path | None]) -> tuple[str, ...]:
    return CLASSES
