"""A split of images with boxes, each brought to one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.contracts import DataSpec, Draw, Sample, Transform
from runner.data.arrays import contiguous
from runner.data.boxes.images import Picture
from runner.data.boxes.letterbox import Letterbox
from runner.data.cache import ArrayCache, key_of
from runner.data.files import read_image
from runner.errors import Problem, RecipeError


@dataclass(frozen=True)
class BoxView:
    """How images become samples.

    Attributes:
        size: height and width of a sample.
        fill: grey level around an image of other proportions.
        mean, std: of the channels, in grey levels.
        cache: of letterboxed images; None to decode each time.
    """

    size: tuple[int, int]
    fill: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    cache: ArrayCache | None

    def image(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the letterboxed image, (H, W, 3) uint8; it may be read-only."""
        build = partial(self._decoded, picture)
        if self.cache is None:
            return build()
        return self.cache.load(self.key(picture), build)

    def key(self, picture: Picture) -> str:
        """Return the key of everything that the letterboxed image depends on."""
        return key_of(kind="letterbox", file=picture.image, size=self.size, fill=self.fill)

    def letterbox(self, picture: Picture) -> Letterbox:
        """Return where the image lies in its sample."""
        return Letterbox.of((picture.height, picture.width), self.size)

    def require_room(self, pictures: Sequence[Picture]) -> None:
        """Raise a MachineError where the disk has no room for what the cache still lacks."""
        if self.cache is not None:
            missing = sum(self.key(picture) not in self.cache for picture in pictures)
            self.cache.require_room(missing * 3 * self.size[0] * self.size[1])

    def _decoded(self, picture: Picture) -> NDArray[np.uint8]:
        return self.letterbox(picture).image(read_image(Path(picture.image.path)), self.fill)


@dataclass(frozen=True)
class BoxSplit:
    """An item is an image, letterboxed; in training, augmented.

    Attributes:
        own_spec: of the data set.
        pictures: the items.
        view: how they become samples.
        transforms: applied in turn.
    """

    own_spec: DataSpec
    pictures: tuple[Picture, ...]
    view: BoxView
    transforms: tuple[Transform, ...] = ()

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.own_spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The images' names."""
        return tuple(picture.name for picture in self.pictures)

    @property
    def is_labelled(self) -> Sequence[bool]:
        """True for each."""
        return (True,) * len(self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        """Return an image with ``boxes`` (N, 5): corners in its pixels, and class."""
        if draw.cut is not None:
            message = "the sampler takes crops of images; boxes are drawn whole: use shuffled"
            raise RecipeError(Problem("", "sampler.name", message))
        picture = self.pictures[draw.index]
        image = self.view.image(picture)
        corners = self.view.letterbox(picture).boxes(picture.boxes[:, :4])
        boxes = np.hstack([corners, picture.boxes[:, 4:]]).astype(np.float32)
        mean, std = (np.asarray(each, np.float32) for each in (self.view.mean, self.view.std))
        sample = Sample(picture.name, image.transpose(2, 0, 1), {"boxes": boxes}, mean, std)
        for transform in self.transforms:
            sample = transform(sample, generator)
        if sample.image.shape[1:] != self.view.size:
            height, width = sample.image.shape[1:]
            message = (
                f"they turned {self.view.size[0]}x{self.view.size[1]} (height x width) into "
                f"{height}x{width}, which no batch can hold; use a square size, or leave "
                "rotate90 out"
            )
            raise RecipeError(Problem("", "data.params.transforms", message))
        return contiguous(sample)
