"""What ``runner analyze`` sees of an image whose objects are pointed at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.counting import number_of
from runner.data.files import collected
from runner.data.perceptual import image_thumbnail, looks
from runner.data.points.match import PointedImage
from runner.data.remarks import NAMED
from runner.errors import Problem
from runner.statistics import Remark
from runner.surveys import Inventory, Survey

COUNTED = {
    "degenerate": (
        "a pixel or less wide or high, and its middle counts as an object",
        "a pixel or less wide or high, and their middles count as objects",
    )
}
"""What faulty boxes are, and what is done about it: a point needs no width."""


@dataclass(frozen=True)
class CountedImage:
    """An image and the points of its objects.

    Attributes:
        image: which.
    """

    image: PointedImage

    @property
    def name(self) -> str:
        """Of the image, relative to the root."""
        return self.image.pair.name

    @property
    def identity(self) -> str:
        """What an image of the same content would be called in another split."""
        return self.image.pair.identity

    @property
    def is_labelled(self) -> bool:
        """True: images come with points."""
        return True

    def thumbnail(self) -> NDArray[np.float32] | None:
        """Return the image averaged to a few points an edge; None where it is of one grey."""
        return image_thumbnail(Path(self.image.pair.image.path))

    def survey(self) -> Survey:
        """Count the objects and look at the image."""
        problems: list[Problem] = []
        pair, objects = self.image.pair, float(len(self.image.points))
        thumbnail = None
        with collected(problems):
            thumbnail = self.thumbnail()
        return Survey(
            self.name,
            (pair.height, pair.width),
            (objects,),
            looks=looks(thumbnail),
            samples={"objects_per_image": (objects,)},
            problems=tuple(problems),
        )


def repeated(images: Sequence[PointedImage]) -> list[Remark]:
    """Return a remark where images have several points at the very same place.

    Args:
        images: of the data set, each once.
    """
    places: list[str] = []
    surplus = 0
    for image in images:
        points, times = np.unique(image.points, axis=0, return_counts=True)
        for (x, y), count in zip(points[times > 1], times[times > 1].tolist(), strict=True):
            surplus += count - 1
            places.append(f"{image.pair.name}: {x:g}, {y:g} stands there {count} times")
    if not places:
        return []
    message = (
        f"{number_of(surplus, 'points', ',')} {'is' if surplus == 1 else 'are'} where another of "
        "the same image is, and each counts as an object of its own; take away what was written "
        "twice"
    )
    shown = places[:NAMED]
    return [
        Remark(
            kind="repeated_points", level="note", message=message, places=shown, count=len(places)
        )
    ]


def inventory(splits: Mapping[str, Sequence[PointedImage]], remarks: Sequence[Remark]) -> Inventory:
    """Return the items of a data set of images with points.

    Args:
        splits: the images.
        remarks: on what reading them has found.
    """
    items = {split: tuple(map(CountedImage, images)) for split, images in splits.items()}
    return Inventory("points", items, tuple(remarks))
