"""What ``runner analyze`` sees of an image with its mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.data.arrays import count_classes
from runner.data.files import collected
from runner.data.pairs import Pair
from runner.data.perceptual import image_thumbnail, looks
from runner.data.segmentation.masks import unmapped_pixels
from runner.data.segmentation.store import Store
from runner.errors import Problem
from runner.statistics import Remark
from runner.surveys import Inventory, Survey


@dataclass(frozen=True)
class MaskedImage:
    """An image and its mask, as they are trained on.

    Attributes:
        store: reads the mask.
        pair: the files; the mask of an image that is not labelled is not read.
    """

    store: Store
    pair: Pair

    @property
    def name(self) -> str:
        """Of the image, relative to the root."""
        return self.pair.name

    @property
    def identity(self) -> str:
        """What an image of the same content would be called in another split."""
        return self.pair.identity

    @property
    def is_labelled(self) -> bool:
        """Whether the mask may be trained on."""
        return self.pair.is_labelled

    def thumbnail(self) -> NDArray[np.float32] | None:
        """Return the image averaged to a few points an edge; None where it is of one grey."""
        return image_thumbnail(Path(self.pair.image.path))

    def survey(self) -> Survey:
        """Count the pixels of each class and look at the image."""
        problems: list[Problem] = []
        thumbnail = None
        counts: tuple[float, ...] = ()
        ignored = 0.0
        unmapped: dict[str, int] = {}
        with collected(problems):
            thumbnail = self.thumbnail()
        if self.is_labelled:
            before = len(problems)
            with collected(problems):
                mask = self.store.mask(self.pair)
                pixels = count_classes(mask, len(self.store.classes.classes))
                counts = tuple(map(float, pixels))
                ignored = float(mask.size - pixels.sum())
            if len(problems) > before and self.pair.mask is not None:
                with collected([]):  # What cannot be read has been said.
                    unmapped = unmapped_pixels(Path(self.pair.mask.path), self.store.classes)
        return Survey(
            self.name,
            (self.pair.height, self.pair.width),
            counts,
            ignored,
            looks(thumbnail),
            unmapped=unmapped,
            problems=tuple(problems),
        )


def inventory(
    store: Store, splits: Mapping[str, Sequence[Pair]], remarks: Sequence[Remark]
) -> Inventory:
    """Return the items of a data set of images with masks.

    Args:
        store: reads the masks.
        splits: the images.
        remarks: on what reading them has found.
    """
    items = {
        split: tuple(MaskedImage(store, pair) for pair in pairs) for split, pairs in splits.items()
    }
    return Inventory("pixels", items, tuple(remarks))
