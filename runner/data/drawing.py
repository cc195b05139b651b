"""The order in which an epoch draws the items of a split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
