"""What ``runner analyze`` sees of an image with boxes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.data.boxes.images import Picture
from runner.data.boxes.letterbox import Letterbox
from runner.data.files import collected
from runner.data.perceptual import image_thumbnail, looks
from runner.data.remarks import NAMED
from runner.errors import Problem
from runner.statistics import Level, Remark
from runner.surveys import Inventory, Survey


@dataclass(frozen=True)
class BoxedImage:
    """An image and its boxes, as they are trained on.

    Attributes:
        picture: which.
        classes: of the data set.
        size: height and width of a sample.
    """

    picture: Picture
    classes: int
    size: tuple[int, int]

    @property
    def name(self) -> str:
        """Of the image, relative to the root."""
        return self.picture.name

    @property
    def identity(self) -> str:
        """What an image of the same content would be called in another split."""
        return self.picture.identity

    @property
    def is_labelled(self) -> bool:
        """True: no box means that there is no object."""
        return True

    def thumbnail(self) -> NDArray[np.float32] | None:
        """Return the image averaged to a few points an edge; None where it is of one grey."""
        return image_thumbnail(Path(self.picture.image.path))

    def survey(self) -> Survey:
        """Count the boxes of each class, measure them and look at the image."""
        problems: list[Problem] = []
        thumbnail = None
        with collected(problems):
            thumbnail = self.thumbnail()
        shape = self.picture.height, self.picture.width
        corners, kinds = self.picture.boxes[:, :4], self.picture.boxes[:, 4].astype(np.int64)
        samples = {
            "boxes_per_image": (float(len(corners)),),
            "box_side_px": _sides(corners),
            "box_side_at_size_px": _sides(Letterbox.of(shape, self.size).boxes(corners)),
        }
        counts = tuple(map(float, np.bincount(kinds, minlength=self.classes)))
        return Survey(
            self.name,
            shape,
            counts,
            looks=looks(thumbnail),
            samples=samples,
            problems=tuple(problems),
        )


def _sides(corners: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the side of the square of each box's area."""
    edges = corners[:, 2:] - corners[:, :2]
    return tuple(map(float, np.sqrt(edges.prod(1))))


def inventory(
    splits: Mapping[str, Sequence[Picture]],
    classes: int,
    size: tuple[int, int],
    remarks: Sequence[Remark],
) -> Inventory:
    """Return the items of a data set of images with boxes.

    Args:
        splits: the images.
        classes: of the data set.
        size: height and width of a sample.
        remarks: on what reading them has found.
    """
    items = {
        split: tuple(BoxedImage(picture, classes, size) for picture in pictures)
        for split, pictures in splits.items()
    }
    return Inventory("boxes", items, tuple(remarks))


def unannotated(without: Collection[str], images: int) -> list[Remark]:
    """Return a remark where images have no annotation, which makes them show no object.

    Args:
        without: names of images without a file of their own, or that the file of all leaves out.
        images: of all splits.
    """
    if not without:
        return []
    message = (
        f"{len(without):,} of {images:,} images have no annotation and are taken to show no "
        "object: their file does not exist, or the file of all does not name them; add what they "
        "show, or correct data.params.annotations"
    )
    is_usual = len(without) < images / 2
    level: Level = "note" if is_usual else "warning"
    places = sorted(without)[:NAMED]
    return [
        Remark(
            kind="no_annotation", level=level, message=message, places=places, count=len(without)
        )
    ]
