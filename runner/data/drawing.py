"""The order in which an epoch draws the items of a split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from runner.contracts import Cut


@dataclass(frozen=True)
class Shuffled:
    """Every item equally often in an epoch, in random order.

    Attributes:
        items: of the split.
        repeats: draws of each item in an epoch.
        cut: of every draw; the dataset's own where None.
    """

    items: int
    repeats: int = 1
    cut: Cut | None = None

    def __len__(self) -> int:
        return self.items * self.repeats

    def epoch(
        self,
        epoch: int,  # noqa: ARG002 - the generator is seeded by it
        generator: np.random.Generator,
    ) -> Iterator[tuple[int, Cut | None]]:
        """Yield item indices with the cut."""
        for draw in generator.permutation(len(self)):
            yield int(draw) % self.items, self.cut


@dataclass(frozen=True)
class TwoStreams:
    """Labelled and unlabelled items, so many of each in every batch; no stream ever ends.

    Within a batch the labelled ones come first: processes take every n-th of its draws, and each
    is so given both kinds, as long as there are as many of each as processes.

    Attributes:
        labelled, unlabelled: indices of the items.
        labelled_per_batch, unlabelled_per_batch: draws of each in a batch.
        batches: of an epoch.
    """

    labelled: tuple[int, ...]
    unlabelled: tuple[int, ...]
    labelled_per_batch: int
    unlabelled_per_batch: int
    batches: int

    def __len__(self) -> int:
        return self.batches * (self.labelled_per_batch + self.unlabelled_per_batch)

    def epoch(
        self,
        epoch: int,  # noqa: ARG002 - the generator is seeded by it
        generator: np.random.Generator,
    ) -> Iterator[tuple[int, Cut | None]]:
        """Yield item indices without a cut; every batch is full."""
        labelled = recurring(len(self.labelled), generator)
        unlabelled = recurring(len(self.unlabelled), generator)
        for _ in range(self.batches):
            for place in islice(labelled, self.labelled_per_batch):
                yield self.labelled[place], None
            for place in islice(unlabelled, self.unlabelled_per_batch):
                yield self.unlabelled[place], None


def recurring(items: int, generator: np.random.Generator) -> Iterator[int]:
    """Yield the indices of some items without end, none again before each came as often."""
    while True:
        yield from map(int, generator.permutation(items))
