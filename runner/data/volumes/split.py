"""Splits of labelled volumes: random patches to train on; tiles or whole volumes to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.contracts import IGNORE, DataSpec, Draw, Sample, Transform
from runner.data.arrays import contiguous
from runner.data.crops import Tile, UniformCut, cut_out, ignore_covered, tiles_of
from runner.data.volumes.store import Volume, VolumeStore
from runner.errors import Problem, RecipeError


@dataclass(frozen=True)
class Volumes:
    """What the splits of a data set share.

    Attributes:
        spec: of the data set.
        store: reads the pairs.
    """

    spec: DataSpec
    store: VolumeStore

    @cached_property
    def _truth(self) -> VolumeStore:
        """The store whose masks never take for foreground what nobody has labelled."""
        return replace(self.store, labels=replace(self.store.labels, policy="ignore"))

    def validation_sample(
        self, name: str, volume: Volume, corner: Sequence[int], size: Sequence[int]
    ) -> Sample:
        """Return a patch whose targets also have ``truth``, the mask under label_policy: ignore.

        So that versions with another policy, which are trained on other masks, can be scored by
        the same.
        """
        sample = self.sample(name, volume, corner, size)
        truth = sample.target["mask"].copy()
        if self.store.labels.policy != "ignore":
            whole = self._truth.mask(volume.pair)[volume.start : volume.stop]
            truth = cut_out(whole, corner, size, IGNORE)
        return replace(sample, target={**sample.target, "truth": truth})

    def mask(self, volume: Volume) -> NDArray[np.uint8]:
        """Return the class indices of the volume's slices, memory-mapped."""
        return self.store.mask(volume.pair)[volume.start : volume.stop]

    def sample(
        self, name: str, volume: Volume, corner: Sequence[int], size: Sequence[int]
    ) -> Sample:
        """Return a patch with its mask, in memory of its own; only the patch is read.

        Beyond the volume the image is what normalises to 0, and the mask is ignored.
        """
        figures, header = volume.intensity, volume.pair.header
        whole = self.store.image(volume.pair)[volume.start : volume.stop]
        fill = _as_stored(figures.mean, header.travels_as)
        image = cut_out(whole, corner, size, fill).astype(header.travels_as, copy=False)
        if np.isfinite(figures.low):
            image = image.clip(
                *(_as_stored(end, image.dtype) for end in (figures.low, figures.high))
            )
        mask = cut_out(self.mask(volume), corner, size, IGNORE)
        mean, std = (np.array([each], np.float32) for each in (figures.mean, figures.std))
        return Sample(name, image[None], {"mask": mask}, mean, std)


def _as_stored(value: float, dtype: np.dtype[Any]) -> Any:
    return dtype.type(np.rint(value) if dtype.kind in "ui" else value)


@dataclass(frozen=True)
class PatchSplit:
    """To train on: an item is a volume, a draw is a patch of it.

    Attributes:
        volumes: what the splits share.
        items: the volumes.
        patch: depth, height and width.
        transforms: applied to each patch in turn.
    """

    volumes: Volumes
    items: tuple[Volume, ...]
    patch: tuple[int, int, int]
    transforms: tuple[Transform, ...] = ()

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.volumes.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The volumes' names."""
        return tuple(volume.pair.name for volume in self.items)

    @property
    def is_labelled(self) -> Sequence[bool]:
        """True for each."""
        return (True,) * len(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        """Return a patch, augmented."""
        volume = self.items[draw.index]
        inner = tuple(min(edges) for edges in zip(self.patch, volume.shape, strict=True))
        corner = (draw.cut or UniformCut())(self.volumes.mask(volume), inner, generator)
        sample = self.volumes.sample(volume.pair.name, volume, corner, self.patch)
        for transform in self.transforms:
            sample = transform(sample, generator)
        shape = sample.image.shape[1:]
        if shape != tuple(self.patch):
            before, after = ("x".join(map(str, each)) for each in (self.patch, shape))
            message = (
                f"they turned {before} (depth x height x width) into {after}, which no batch can "
                "hold; use a patch of equal edges, or leave rotate90_volume out"
            )
            raise RecipeError(Problem("", "data.params.transforms", message))
        return contiguous(sample)


@dataclass(frozen=True)
class TileSplit:
    """To validate on by tiles of the size of a patch: every voxel counts exactly once.

    Attributes:
        volumes: what the splits share.
        tiles: the items: a volume, and where in it.
        patch: depth, height and width of a tile.
    """

    volumes: Volumes
    tiles: tuple[tuple[Volume, Tile], ...]
    patch: tuple[int, int, int]

    @classmethod
    def of(
        cls, volumes: Volumes, items: Sequence[Volume], patch: tuple[int, int, int]
    ) -> TileSplit:
        """Return the split of all tiles of some volumes."""
        tiles = [(volume, tile) for volume in items for tile in tiles_of(volume.shape, patch)]
        return cls(volumes, tuple(tiles), patch)

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.volumes.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The volumes' names with the tiles' first voxel: slice, row, column of the file."""
        return tuple(
            f"{volume.pair.name}@{volume.start + tile.corner[0]},{tile.corner[1]},{tile.corner[2]}"
            for volume, tile in self.tiles
        )

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
        volume, tile = self.tiles[draw.index]
        name = self.ids[draw.index]
        sample = self.volumes.validation_sample(name, volume, tile.corner, self.patch)
        for mask in sample.target.values():
            ignore_covered(mask, tile.covered)
        return sample


@dataclass(frozen=True)
class WholeSplit:
    """To validate on by sliding window: an item is a whole volume, read into memory as one.

    Volumes may differ in shape, so an evaluation loads them one by one.

    Attributes:
        volumes: what the splits share.
        items: the volumes.
        largest_batch: samples that can surely be put into one batch.
    """

    volumes: Volumes
    items: tuple[Volume, ...]
    largest_batch: int = 1

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        return self.volumes.spec

    @cached_property
    def ids(self) -> Sequence[str]:
        """The volumes' names."""
        return tuple(volume.pair.name for volume in self.items)

    @property
    def is_labelled(self) -> Sequence[bool]:
        """True for each."""
        return (True,) * len(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def load(
        self,
        draw: Draw,
        generator: np.random.Generator,  # noqa: ARG002 - nothing is random here
    ) -> Sample:
        """Return a whole volume."""
        volume = self.items[draw.index]
        return self.volumes.validation_sample(volume.pair.name, volume, (0, 0, 0), volume.shape)
