"""Volumes and their masks as memory-mapped arrays, from the files or from the cache."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.data.arrays import count_classes
from runner.data.cache import Stamp, key_of
from runner.data.companions import lacking
from runner.data.files import collected, problem
from runner.data.pairs import Named, Pair
from runner.data.unmapped import told_once
from runner.data.volumes.cache import VolumeCache
from runner.data.volumes.files import mapped, read_slabs, read_volume_header
from runner.data.volumes.header import VolumeHeader
from runner.data.volumes.intensity import Intensity, Normalisation, measure_intensity
from runner.data.volumes.labels import LabelRule, class_slabs
from runner.data.volumes.orientation import codes, point_apart
from runner.errors import DataError, Problem

LOGGER = logging.getLogger(__name__)

_TOLD = 20
"""Volumes that are told of while all are unpacked: some sets hold hundreds of small ones."""


@dataclass(frozen=True)
class VolumePair(Pair):
    """A volume and its label, both known to be readable as far as their headers go.

    Attributes:
        mask: the file of the label.
        header: of the volume.
    """

    mask: Stamp
    header: VolumeHeader


@dataclass(frozen=True)
class Volume:
    """What an item of a split is cut from: a volume, or some slices of it.

    Attributes:
        pair: the files.
        intensity: of the whole volume.
        start, stop: the first slice, and the one after the last.
    """

    pair: VolumePair
    intensity: Intensity
    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Depth, height and width of these slices."""
        return self.stop - self.start, self.pair.height, self.pair.width


@dataclass(frozen=True)
class VolumeStore:
    """Reads pairs as arrays; random patches of them cost what the patch costs.

    Attributes:
        labels: what the label values mean.
        normalisation: which figures are measured of a volume.
        cache: of what must be unpacked, of masks, and of the figures.
    """

    labels: LabelRule
    normalisation: Normalisation
    cache: VolumeCache

    def image(self, pair: VolumePair) -> NDArray[Any]:
        """Return the volume, (D, H, W) in the file's type, read-only."""
        if pair.header.offset is not None:
            return mapped(Path(pair.image.path), pair.header)

        def slabs() -> Iterable[NDArray[Any]]:
            with np.errstate(over="ignore"):
                for slab in read_slabs(Path(pair.image.path)):
                    yield slab.astype(dtype, copy=False)

        shape, dtype = pair.header.shape, pair.header.travels_as
        return self.cache.load_slabs(self.image_key(pair), shape, dtype, slabs)

    def mask(self, pair: VolumePair) -> NDArray[np.uint8]:
        """Return the mask, (D, H, W) uint8 class indices with 255 ignored, read-only."""

        def slabs() -> Iterable[NDArray[np.uint8]]:
            return class_slabs(Path(pair.mask.path), self.labels)

        shape, dtype = pair.header.shape, np.dtype(np.uint8)
        return self.cache.load_slabs(self.mask_key(pair), shape, dtype, slabs)

    def intensity(self, pair: VolumePair) -> Intensity:
        """Return the figures of the volume, measured when they are not in the cache."""
        key = key_of(kind="intensity", file=pair.image, how=self.normalisation)

        def measured() -> NDArray[np.float64]:
            path = Path(pair.image.path)
            figures = measure_intensity(path, self.image(pair), self.normalisation)
            return np.asarray(astuple(figures), np.float64)

        return Intensity(*map(float, self.cache.load(key, measured)))

    def image_key(self, pair: VolumePair) -> str:
        """Return the key of everything that the unpacked volume depends on."""
        return key_of(kind="volume", file=pair.image, dtype=pair.header.travels_as.str)

    def mask_key(self, pair: VolumePair) -> str:
        """Return the key of everything that the mask depends on."""
        return key_of(kind="classes", file=pair.mask, targets=sorted(self.labels.targets.items()))

    def prepare(self, pairs: Sequence[VolumePair]) -> dict[str, Intensity]:
        """Unpack what is not in the cache yet; return the figures of each volume by name.

        Raises:
            DataError: everything that is wrong with any of the files.
            MachineError: there is no room for them.
        """
        missing = [pair for pair in pairs if self._missing_bytes(pair)]
        self.cache.require_room(sum(map(self._missing_bytes, missing)))
        problems: list[Problem] = []
        figures: dict[str, Intensity] = {}
        to_unpack = {pair.name: number for number, pair in enumerate(missing, start=1)}
        told_every = -(-len(missing) // _TOLD)
        for pair in pairs:
            place = to_unpack.get(pair.name, 0)
            if place and (place in (1, len(missing)) or place % told_every == 0):
                LOGGER.info("unpacking volume %d of %d: %s", place, len(missing), pair.name)
            with collected(problems):
                self.mask(pair)
            with collected(problems):
                figures[pair.name] = self.intensity(pair)
            with collected(problems):
                # Intensities may be known already where the volume itself was deleted.
                self.image(pair)
        if problems:
            raise DataError(told_once(problems))
        return figures

    def _missing_bytes(self, pair: VolumePair) -> int:
        voxels = int(np.prod(pair.header.shape, dtype=np.int64))
        bytes_needed = voxels * (self.mask_key(pair) not in self.cache)
        if pair.header.offset is None and self.image_key(pair) not in self.cache:
            bytes_needed += voxels * pair.header.travels_as.itemsize
        return bytes_needed


def measure_volumes(root: Path, volumes: Sequence[Named], cache: VolumeCache) -> list[VolumePair]:
    """Return volumes with what the headers of both files say.

    Args:
        root: the folder.
        volumes: by name.
        cache: of headers; reading those of hundreds of TIFFs takes as many seconds.
    Raises: DataError: all volumes without label, files that cannot be read, shapes that differ.
    """
    pairs: list[VolumePair] = []
    files = [(each.name, each.mask) for each in volumes]
    cure, key = ", or remove the volume", "data.params.labels"
    problems = lacking(root, files, "label", cure, key)
    for each in volumes:
        image, label = root / each.name, root / each.mask
        if not label.is_file():
            continue  # It has been told.
        headers: list[VolumeHeader] = []
        for path in (image, label):
            with collected(problems):
                headers.append(_header(path, cache))
        if len(headers) < 2:
            continue
        if wrong := _unlike(headers[0], each.mask, headers[1]):
            problems.append(problem(image, wrong))
            continue
        stamps = Stamp.of(image), Stamp.of(label)
        _, height, width = headers[0].shape
        pairs.append(VolumePair(each.name, each.identity, *stamps, height, width, headers[0]))
    if problems:
        raise DataError(problems)
    return pairs


def _unlike(image: VolumeHeader, name: str, label: VolumeHeader) -> str:
    """Return why a label, called by its name, does not fit a volume; empty where it does."""
    if image.shape != label.shape:
        mine, theirs = ("x".join(map(str, header.shape)) for header in (image, label))
        message = f"is {mine} voxels (depth x height x width), its label {name} {theirs}"
        return f"{message}; the two must agree"
    if point_apart(image.axes, label.axes):
        return (
            f"has axes that point {codes(image.axes)}, its label {name} {codes(label.axes)} (R, L "
            "right or left, A, P front or back, S, I top or bottom), and is paired with it voxel "
            "by voxel; bring both into one orientation (nibabel.as_closest_canonical), or, where "
            "the voxels do correspond, save the label with the affine of the image"
        )
    return ""


def _header(path: Path, cache: VolumeCache) -> VolumeHeader:
    """Return a file's header, from the cache where the file is as it was."""

    def read() -> NDArray[np.str_]:
        header = read_volume_header(path)
        offset = -1 if header.offset is None else header.offset
        return np.array([header.dtype.str, *map(str, (offset, *header.shape, *header.axes))])

    key = key_of(kind="header with axes", file=Stamp.of(path))
    dtype, offset, depth, height, width, *axes = cache.load(key, read).tolist()
    shape = int(depth), int(height), int(width)
    start = None if int(offset) < 0 else int(offset)
    return VolumeHeader(shape, np.dtype(dtype), start, tuple(map(float, axes)))


def class_voxels(store: VolumeStore, volumes: Sequence[Volume]) -> list[float]:
    """Return the voxels of each class over all volumes; ignored voxels are not counted."""
    classes = len(store.labels.classes)
    total = np.zeros(classes, np.int64)
    for volume in volumes:
        total += count_classes(store.mask(volume.pair)[volume.start : volume.stop], classes)
    return [float(count) for count in total]
