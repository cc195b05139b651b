"""What ``runner analyze`` sees of a volume with its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.data.arrays import count_classes
from runner.data.files import collected
from runner.data.perceptual import looks, volume_thumbnail
from runner.data.volumes.files import read_slabs
from runner.data.volumes.store import Volume, VolumeStore
from runner.errors import Problem
from runner.surveys import Inventory, Survey


@dataclass(frozen=True)
class LabelledVolume:
    """A volume and its label, or some slices of them, as they are trained on.

    Attributes:
        store: reads both.
        volume: which.
    """

    store: VolumeStore
    volume: Volume

    @property
    def name(self) -> str:
        """Of the volume, relative to the root."""
        return self.volume.pair.name

    @property
    def identity(self) -> str:
        """What a volume of the same content would be called in another split."""
        return self.volume.pair.identity

    @property
    def is_labelled(self) -> bool:
        """True: volumes come with labels."""
        return True

    @property
    def _slices(self) -> slice:
        return slice(self.volume.start, self.volume.stop)

    def thumbnail(self) -> NDArray[np.float32] | None:
        """Return the volume averaged to a few points an edge; None where it is all the same."""
        return volume_thumbnail(self.store.image(self.volume.pair)[self._slices])

    def survey(self) -> Survey:
        """Count the voxels of each class and look at the volume."""
        problems: list[Problem] = []
        thumbnail = None
        counts: tuple[float, ...] = ()
        ignored = 0.0
        merged: tuple[float, ...] = ()
        with collected(problems):
            thumbnail = self.thumbnail()
        with collected(problems):
            mask = self.store.mask(self.volume.pair)[self._slices]
            voxels = count_classes(mask, len(self.store.labels.classes))
            counts = tuple(map(float, voxels))
            ignored = float(mask.size - voxels.sum())
            if self.store.labels.policy == "merge_ignore":
                merged = (self._unlabelled_voxels(),)
        samples = {"merged_voxels": merged} if merged else {}
        shape = self.volume.shape
        return Survey(
            self.name, shape, counts, ignored, looks(thumbnail), samples, problems=tuple(problems)
        )

    def _unlabelled_voxels(self) -> float:
        """Return the voxels that carry the label for what nobody has labelled."""
        found, depth = 0, 0
        for slab in read_slabs(Path(self.volume.pair.mask.path)):
            first, last = self.volume.start - depth, self.volume.stop - depth
            wanted = slab[max(first, 0) : max(last, 0)]
            found += int(np.count_nonzero(wanted == self.store.labels.ignore_label))
            depth += len(slab)
        return float(found)


def inventory(store: VolumeStore, splits: Mapping[str, Sequence[Volume]]) -> Inventory:
    """Return the items of a data set of volumes with labels."""
    items = {
        split: tuple(LabelledVolume(store, volume) for volume in volumes)
        for split, volumes in splits.items()
    }
    return Inventory("voxels", items)
