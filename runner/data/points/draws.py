"""How many of an image's objects are marked, and which images an epoch draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from runner.contracts import Choose, Cut
from runner.data.drawing import recurring

DoneMode = Literal["mixed", "regression", "classification", "balanced"]


@dataclass(frozen=True)
class Mixed:
    """Any number, from none to all of them, equally likely: one draw in N + 1 is done."""

    def __call__(self, objects: int, generator: np.random.Generator) -> int:
        """Return how many are marked."""
        return int(generator.integers(0, objects + 1))

    def done_probability(self, objects: int) -> float:
        """Return how likely all of them are marked."""
        return 1 / (objects + 1)


@dataclass(frozen=True)
class Balanced:
    """All of them with a probability; else any smaller number, or the next smaller one alone.

    Attributes:
        done_share: probability that all objects are marked.
        is_last: whether otherwise all but one are marked.
    """

    done_share: float
    is_last: bool = False

    def __call__(self, objects: int, generator: np.random.Generator) -> int:
        """Return how many are marked."""
        if generator.random() < self.done_share:
            return objects
        return objects - 1 if self.is_last else int(generator.integers(0, objects))

    def done_probability(self, objects: int) -> float:  # noqa: ARG002 - whatever their number
        """Return how likely all of them are marked."""
        return self.done_share


def choice(mode: DoneMode, done_share: float) -> Mixed | Balanced:
    """Return how many objects are marked in a draw.

    Args:
        mode: mixed, regression (never all), classification (all, or all but one) or balanced.
        done_share: of balanced; the share of draws in which all are marked.
    """
    if mode == "mixed":
        return Mixed()
    if mode == "regression":
        return Balanced(0.0)
    if mode == "classification":
        return Balanced(0.5, is_last=True)
    return Balanced(done_share)


@dataclass(frozen=True)
class PointingOrder:
    """Images in random order, none again before each was drawn as often.

    Attributes:
        images: of the split.
        draws: of an epoch; each image once where None.
        choose: how many objects are marked.
    """

    images: int
    draws: int | None
    choose: Mixed | Balanced

    def __len__(self) -> int:
        return self.images if self.draws is None else self.draws

    def done_share(self, objects: Sequence[float]) -> float:
        """Return the expected share of draws in which all objects are marked.

        Exact: each image is drawn as often as the next, in expectation.

        Args:
            objects: of each image.
        """
        return sum(self.choose.done_probability(int(each)) for each in objects) / len(objects)

    def epoch(
        self,
        epoch: int,  # noqa: ARG002 - the generator is seeded by it
        generator: np.random.Generator,
    ) -> Iterator[tuple[int, Cut | None, Choose | None]]:
        """Yield image indices, no cut, and the choice."""
        for image in islice(recurring(self.images, generator), len(self)):
            yield image, None, self.choose


@dataclass(frozen=True)
class FixedDraw:
    """One look at an image of an evaluation, the same at each of them.

    Attributes:
        image: its index.
        marked: objects that are marked.
        is_counted: whether objects are counted from here on, and nothing else is scored.
    """

    image: int
    marked: int
    is_counted: bool = False


def fixed_draws(
    objects: tuple[int, ...], draws: int, done_share: float, counted: int, seed: int = 0
) -> tuple[FixedDraw, ...]:
    """Return the looks of an evaluation: a function of the arguments.

    Args:
        objects: of each image.
        draws: looks that are scored, spread over the images as evenly as can be.
        done_share: of them in which all objects are marked; in the others any smaller number is.
        counted: images in which objects are counted from the first on; all where there are fewer.
        seed: of the numbers.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    order = PointingOrder(len(objects), draws, Mixed())
    is_done = generator.permutation(np.arange(draws) < round(draws * done_share))
    looks = []
    for (image, *_), done in zip(order.epoch(0, generator), is_done, strict=True):
        marked = objects[image] if done else int(generator.integers(0, objects[image]))
        looks.append(FixedDraw(image, marked))
    chosen = sorted(generator.permutation(len(objects))[:counted].tolist())
    return tuple(looks) + tuple(FixedDraw(image, 0, is_counted=True) for image in chosen)
