"""Where patches of a volume are taken: cuts that look at no more than the crops they try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.contracts import IGNORE, Cut, Sampler
from runner.data.crops import UniformCut


@dataclass(frozen=True)
class ForegroundCut:
    """The best of several uniform crops by their share of foreground: every class but the first.

    Attributes:
        tries: crops looked at, at most.
        target: the wanted share of all voxels of the crop, ignored ones among them.
        accepted: the first crop with a share from here to there is taken at once.
    """

    tries: int
    target: float
    accepted: tuple[float, float]

    def __call__(
        self, mask: NDArray[np.uint8], size: Sequence[int], generator: np.random.Generator
    ) -> tuple[int, ...]:
        """Return the first corner of the crop."""
        best: tuple[int, ...] = ()
        nearest = np.inf
        for _ in range(self.tries):
            corner = UniformCut()(mask, size, generator)
            # An ignored voxel counts as none of the classes: unlabelled crops teach nothing.
            share = float(np.mean(_is_foreground(_crop(mask, corner, size))))
            if self.accepted[0] <= share <= self.accepted[1]:
                return corner
            if abs(share - self.target) < nearest:
                best, nearest = corner, abs(share - self.target)
        return best


@dataclass(frozen=True)
class AroundForegroundCut:
    """Around a voxel of the foreground, found in one of several uniform crops.

    The voxel comes to lie anywhere in the crop with equal probability, as far as the border of
    the volume allows: a class always in the middle would teach the network its place.

    Attributes:
        tries: crops searched, at most; the last is taken where none holds foreground.
    """

    tries: int

    def __call__(
        self, mask: NDArray[np.uint8], size: Sequence[int], generator: np.random.Generator
    ) -> tuple[int, ...]:
        """Return the first corner of the crop."""
        corner: tuple[int, ...] = ()
        for _ in range(self.tries):
            corner = UniformCut()(mask, size, generator)
            places = np.flatnonzero(_is_foreground(_crop(mask, corner, size)))
            if len(places):
                place = np.unravel_index(places[int(generator.integers(len(places)))], tuple(size))
                voxel = [start + int(inner) for start, inner in zip(corner, place, strict=True)]
                return tuple(
                    int(generator.integers(max(0, at - part + 1), min(at, whole - part) + 1))
                    for at, part, whole in zip(voxel, size, mask.shape, strict=True)
                )
        return corner


@dataclass(frozen=True)
class Alternating:
    """The draws of another sampler, cut in turns.

    Attributes:
        order: yields the items.
        cuts: of the first draw of an epoch, the second, and so on, from the beginning again.
    """

    order: Sampler
    cuts: tuple[Cut, ...]

    def __len__(self) -> int:
        return len(self.order)

    def epoch(self, epoch: int, generator: np.random.Generator) -> Iterator[tuple[int, Cut | None]]:
        """Yield item indices with the cut whose turn it is."""
        for number, (item, *_) in enumerate(self.order.epoch(epoch, generator)):
            yield item, self.cuts[number % len(self.cuts)]


def _crop(mask: NDArray[np.uint8], corner: Sequence[int], size: Sequence[int]) -> NDArray[np.uint8]:
    places = tuple(slice(at, at + edge) for at, edge in zip(corner, size, strict=True))
    return np.asarray(mask[places])


def _is_foreground(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((mask != 0) & (mask != IGNORE))
