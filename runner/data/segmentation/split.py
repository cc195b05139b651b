"""Splits of images with masks: random crops to train on, whole images in tiles to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from runner.contracts import IGNORE, DataSpec, Draw, Sample, Transform
from runner.data.arrays import contiguous
from runner.data.crops import Tile, UniformCut, cut_out, ignore_covered, tiles_of
from runner.data.pairs import Pair
from runner.data.segmentation.store import Store, interpolation, resized
from runner.errors import Problem, RecipeError


@dataclass(frozen=True)
class Pictures:
    """What the splits of a data set share.

    Attributes:
        spec: of the data set.
        store: reads the pairs.
        mean, std: of the channels, in grey levels from 0 to 255; None for each picture's own.
    """

    spec: DataSpec
    store: Store
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None

    def sample(self, name: str, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Sample:
        """Return (H, W, 3) and (H, W) as a sample; nothing is copied."""
        own_mean, own_std = _greys(image) if None in (self.mean, self.std) else ((), ())
        mean = np.asarray(self.mean or own_mean, np.float32)
        std = np.asarray(self.std or own_std, np.float32)
        return Sample(name, image.transpose(2, 0, 1), {"mask": mask}, mean, std)


def _greys(image: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation over all channels, for each channel; grey levels.

    A picture of one grey has no deviation; it is divided by a grey level, and is nought.
    """
    means, deviations = cv2.meanStdDev(image)  # several times as fast as numpy's
    mean = means.mean()
    variance = (deviations**2 + means**2).mean() - mean**2
    return 3 * (float(mean),), 3 * (max(float(variance), 1.0) ** 0.5,)


@dataclass(frozen=True)
class CropSplit:
    """To train on: an item is an image, a draw is a crop of it.

    Attributes:
        pictures: what the splits share.
        pairs: the items.
        crop: height and width; whole images where None.
        transforms: applied to each crop in turn.
        strong: changes of colour, applied after them: a second view, in the target ``strong``;
            there is none where empty.
        sizes_px: edges of squares, one of which each batch is brought to; empty to keep the crop.
    """

    pictures: Pictures
    pairs: tuple[Pair, ...]
    crop: tuple[int, int] | None
    transforms: tuple[Transform, ...] = ()
    strong: tuple[Transform, ...] = ()
    sizes_px: tuple[int, ...] = ()

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.pictures.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The images' names."""
        return tuple(pair.name for pair in self.pairs)

    @cached_property
    def is_labelled(self) -> Sequence[bool]:
        """Whether each mask may be trained on."""
        return tuple(pair.is_labelled for pair in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        """Return a crop, augmented."""
        sample = self._cropped(draw, generator)
        if draw.size_px is not None:
            sample = _squared(sample, draw.size_px)
        before = sample.image.shape[1:]
        for transform in self.transforms:
            sample = transform(sample, generator)
        if sample.image.shape[1:] != before:
            (height, width), after = before, sample.image.shape[1:]
            is_turned = after == (width, height)
            cure = "use a square crop, or leave rotate90 out" if is_turned else "keep the size"
            message = (
                f"they turned {height}x{width} (height x width) into {after[0]}x{after[1]}, "
                f"which no batch can hold; {cure}"
            )
            raise RecipeError(Problem("", "data.params.transforms", message))
        if self.strong:
            sample = _with_strong_view(sample, self.strong, generator)
        return contiguous(sample)

    def _cropped(self, draw: Draw, generator: np.random.Generator) -> Sample:
        pair = self.pairs[draw.index]
        image, mask = self.pictures.store.image(pair), self.pictures.store.mask(pair)
        size: tuple[int, ...] = mask.shape
        corner: tuple[int, ...] = (0, 0)
        if self.crop is not None:
            size = self.crop
            inner = tuple(min(edges) for edges in zip(size, mask.shape, strict=True))
            # A mask that is withheld must not decide where the crop is taken, either.
            visible = mask if pair.is_labelled else np.full_like(mask, IGNORE)
            corner = (draw.cut or UniformCut())(visible, inner, generator)
        elif draw.cut is not None:
            message = "the sampler takes crops; set their height and width, or use another sampler"
            raise RecipeError(Problem("", "data.params.crop", message))
        cut_image, cut_mask = cut_out(image, corner, size, 0), cut_out(mask, corner, size, IGNORE)
        sample = self.pictures.sample(pair.name, cut_image, cut_mask)
        return replace(sample, is_labelled=pair.is_labelled)


def _squared(sample: Sample, edge_px: int) -> Sample:
    """Return image and mask brought to a square."""
    image, size = sample.image.transpose(1, 2, 0), (edge_px, edge_px)
    how = interpolation(image.shape[:2], size)
    changed = resized(image, size, how).transpose(2, 0, 1)
    mask = resized(sample.target["mask"], size, cv2.INTER_NEAREST_EXACT)
    return replace(sample, image=changed, target={"mask": mask})


def _with_strong_view(
    sample: Sample, strong: Sequence[Transform], generator: np.random.Generator
) -> Sample:
    """Return the sample with a second, changed image in the target ``strong``."""
    view = sample
    for transform in strong:
        view = transform(view, generator)
    if not np.array_equal(view.target["mask"], sample.target["mask"]):
        message = "they moved pixels, and labels of the weak view are for the strong one, too; "
        cure = "change colours alone here, and move pixels in data.params.transforms"
        raise RecipeError(Problem("", "data.params.strong", message + cure))
    return replace(sample, target={**sample.target, "strong": view.image})


@dataclass(frozen=True)
class TileSplit:
    """To validate on at the scale of training: an item is a tile, every pixel counts once.

    Attributes:
        pictures: what the splits share.
        tiles: the items: an image, and where on it.
        crop: height and width of a tile; whole images where None.
    """

    pictures: Pictures
    tiles: tuple[tuple[Pair, Tile], ...]
    crop: tuple[int, int] | None

    @classmethod
    def of(
        cls, pictures: Pictures, pairs: Sequence[Pair], crop: tuple[int, int] | None
    ) -> TileSplit:
        """Return the split of all tiles of some images."""
        shape = pictures.store.shape
        tiles = [
            (pair, tile) for pair in pairs for tile in tiles_of(shape(pair), crop or shape(pair))
        ]
        return cls(pictures, tuple(tiles), crop)

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.pictures.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The images' names with the tiles' first row and column."""
        return tuple(f"{pair.name}@{tile.corner[0]},{tile.corner[1]}" for pair, tile in self.tiles)

    @property
    def is_labelled(self) -> Sequence[bool]:
        """True for each."""
        return (True,) * len(self.tiles)

    def __len__(self) -> int:
        return len(self.tiles)

    def load(
        self,
        draw: Draw,
        generator: np.random.Generator,  # noqa: ARG002 - nothing is random here
    ) -> Sample:
        """Return a tile; what an earlier tile holds already is ignored."""
        pair, tile = self.tiles[draw.index]
        size = self.crop or self.pictures.store.shape(pair)
        image = cut_out(self.pictures.store.image(pair), tile.corner, size, 0)
        mask = cut_out(self.pictures.store.mask(pair), tile.corner, size, IGNORE)
        ignore_covered(mask, tile.covered)
        return contiguous(self.pictures.sample(self.ids[draw.index], image, mask))


@dataclass(frozen=True)
class SquashSplit:
    """To validate on as the UAV seed did: an item is a whole image, squashed to the size of a crop.

    Attributes:
        pictures: what the splits share.
        pairs: the items.
        crop: height and width that each is squashed to, whatever its proportions.
    """

    pictures: Pictures
    pairs: tuple[Pair, ...]
    crop: tuple[int, int]

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.pictures.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The images' names."""
        return tuple(pair.name for pair in self.pairs)

    @property
    def is_labelled(self) -> Sequence[bool]:
        """True for each."""
        return (True,) * len(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def load(
        self,
        draw: Draw,
        generator: np.random.Generator,  # noqa: ARG002 - nothing is random here
    ) -> Sample:
        """Return an image, squashed."""
        pair = self.pairs[draw.index]
        image = resized(self.pictures.store.image(pair), self.crop, cv2.INTER_LINEAR)
        mask = resized(self.pictures.store.mask(pair), self.crop, cv2.INTER_NEAREST_EXACT)
        return contiguous(self.pictures.sample(pair.name, image, mask))
