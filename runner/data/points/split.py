"""Splits of images whose objects are pointed at one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.contracts import DataSpec, Draw, Sample
from runner.data.cache import ArrayCache, key_of
from runner.data.files import read_image
from runner.data.points.canvas import Letterbox
from runner.data.points.draws import FixedDraw, Mixed
from runner.data.points.marks import Mark
from runner.data.points.match import PointedImage
from runner.data.points.order import Order, ordered


@dataclass(frozen=True)
class PointSpec(DataSpec):
    """What a data set of points tells the parts built after it.

    Attributes:
        mark: how pointed objects look; who counts by pointing marks as the data set does.
    """

    mark: Mark = Mark(12, (255, 255, 0))


@dataclass(frozen=True)
class PointView:
    """How images become samples.

    Attributes:
        spec: of the data set.
        canvas: height and width that every image is fitted into.
        order: in which objects are pointed at.
        row_px: height of a row, in pixels of the image; of the order ``rows``.
        mean, std: of the channels, in grey levels from 0 to 255.
        cache: of scaled images; None to decode each time.
        flip: probability that a training image is mirrored.
    """

    spec: PointSpec
    canvas: tuple[int, int]
    order: Order
    row_px: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    cache: ArrayCache | None
    flip: float = 0.0

    def letterbox(self, image: PointedImage) -> Letterbox:
        """Return how an image lies on the canvas."""
        return Letterbox((image.pair.height, image.pair.width), self.canvas)

    def scaled(self, image: PointedImage) -> NDArray[np.uint8]:
        """Return an image in its size on the canvas; it may be read-only."""
        build = partial(_decoded, image, self.letterbox(image))
        return self.cache.load(self.key(image), build) if self.cache else build()

    def key(self, image: PointedImage) -> str:
        """Return the key of everything that a scaled image depends on."""
        return key_of(kind="points", file=image.pair.image, inner=self.letterbox(image).inner)

    def require_room(self, images: Sequence[PointedImage]) -> None:
        """Raise a MachineError where the disk has no room for what the cache still lacks."""
        if self.cache is not None:
            missing = [each for each in images if self.key(each) not in self.cache]
            self.cache.require_room(3 * sum(prod(self.letterbox(each).inner) for each in missing))

    def sample(
        self,
        name: str,
        image: PointedImage,
        marked: int,
        *,
        is_counted: bool = False,
        is_flipped: bool = False,
    ) -> Sample:
        """Return an image with so many of its objects marked, and the next as the target."""
        box, scaled, points = self.letterbox(image), self.scaled(image), image.points
        if is_flipped:
            scaled = scaled[:, ::-1]
            # Before they are ordered: from left to right is from left to right in the mirror, too.
            points = np.stack([image.pair.width - points[:, 0], points[:, 1]], 1)
        points = ordered(points, self.order, self.row_px)
        canvas = box.placed(scaled, np.asarray(self.mean, np.float32).round().astype(np.uint8))
        for number, (x, y) in enumerate(box.to_canvas(points[:marked]), start=1):
            self.spec.mark.draw(canvas, x, y, number)
        is_done = marked == len(points)
        # Where there is nothing to point at, the middle of the canvas stands for it.
        point = np.zeros(2) if is_done else box.to_unit(points[marked])
        target: dict[str, NDArray[Any]] = {
            "point": point.astype(np.float32),
            "done": np.asarray(is_done, np.float32),
            "source_px": box.source_px.astype(np.float32),
            "objects": np.asarray(len(points), np.int64),
            "is_counted": np.asarray(is_counted),
        }
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        pixels = np.ascontiguousarray(canvas.transpose(2, 0, 1))
        # What is counted is scored by its count alone.
        return Sample(name, pixels, target, mean, std, is_labelled=not is_counted)


@dataclass(frozen=True)
class PointTrainSplit:
    """To train on: an item is an image, a draw is one step of pointing at its objects.

    Attributes:
        view: what the splits share.
        images: the items.
    """

    view: PointView
    images: tuple[PointedImage, ...]

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.view.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The images' names."""
        return tuple(image.pair.name for image in self.images)

    @property
    def is_labelled(self) -> Sequence[bool]:
        """True for each."""
        return (True,) * len(self.images)

    def __len__(self) -> int:
        return len(self.images)

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        """Return an image with some of its objects marked, as the draw chooses."""
        image = self.images[draw.index]
        marked = (draw.choose or Mixed())(len(image.points), generator)
        assert 0 <= marked <= len(image.points), (marked, len(image.points))
        is_flipped = self.view.flip > 0 and generator.random() < self.view.flip
        name = f"{image.pair.name} ({marked} marked)"
        return self.view.sample(name, image, marked, is_flipped=is_flipped)


@dataclass(frozen=True)
class PointFixedSplit:
    """To evaluate on: an item is one step of pointing, the same in each evaluation.

    Attributes:
        view: what the splits share.
        images: of the split.
        draws: the items.
    """

    view: PointView
    images: tuple[PointedImage, ...]
    draws: tuple[FixedDraw, ...]

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.view.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The images' names, with the number of marked objects."""
        return tuple(
            f"{self.images[each.image].pair.name} ({each.marked} marked)" for each in self.draws
        )

    @property
    def is_labelled(self) -> Sequence[bool]:
        """False where objects are counted, which no target says how to do."""
        return tuple(not each.is_counted for each in self.draws)

    def __len__(self) -> int:
        return len(self.draws)

    def load(
        self,
        draw: Draw,
        generator: np.random.Generator,  # noqa: ARG002 - nothing is random here
    ) -> Sample:
        """Return a step."""
        fixed = self.draws[draw.index]
        image, name = self.images[fixed.image], self.ids[draw.index]
        return self.view.sample(name, image, fixed.marked, is_counted=fixed.is_counted)


def _decoded(image: PointedImage, box: Letterbox) -> NDArray[np.uint8]:
    return box.scaled(read_image(Path(image.pair.image.path)))


def objects_of(images: Sequence[PointedImage]) -> list[float]:
    """Return how many objects each image has."""
    return [float(len(image.points)) for image in images]
