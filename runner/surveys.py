"""What ``runner analyze`` asks of a data set: its items one by one, each looked at on its own.

Torch and numpy are not imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from runner.errors import Problem
from runner.statistics import Remark

if TYPE_CHECKING:
    import numpy as np

Unit = Literal["pixels", "voxels", "boxes", "points"]


@dataclass(frozen=True)
class Survey:
    """What one item shows.

    Attributes:
        name: of the item, relative to the root.
        shape: edge lengths of the image as stored: height and width, or depth before them.
        counts: units of each class, in the order of their indices.
        ignored: units that are labelled as to be ignored.
        looks: its perceptual hash (``runner/data/perceptual.py``); None where there is nothing to
            see, or nothing could be read.
        samples: name to values that are collected over items, such as the sides of its boxes.
        unmapped: units of each value, in words, that the recipe gives no class.
        problems: what makes it unfit to be trained on; counts are not to be used then.
    """

    name: str
    shape: tuple[int, ...]
    counts: tuple[float, ...] = ()
    ignored: float = 0.0
    looks: int | None = None
    samples: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unmapped: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class Item(Protocol):
    """An item of a data set on disk; it travels to another process by pickle."""

    @property
    def name(self) -> str:
        """Relative to the root."""
        ...

    @property
    def identity(self) -> str:
        """What an item of the same content would be called in another split."""
        ...

    @property
    def is_labelled(self) -> bool:
        """Whether its target may be trained on."""
        ...

    def thumbnail(self) -> np.ndarray | None:
        """Return its image averaged to a few points an edge; None where there is nothing to see.

        Raises: DataError: the image cannot be read.
        """
        ...

    def survey(self) -> Survey:
        """Look at it; what is wrong with it is told in the survey, not raised."""
        ...


@dataclass(frozen=True)
class Inventory:
    """Everything that a data set holds.

    Attributes:
        unit: what surveys count.
        items: of each split; every image once, whatever the split cuts it into.
        remarks: what reading the data set has found and mended already.
    """

    unit: Unit
    items: Mapping[str, Sequence[Item]]
    remarks: tuple[Remark, ...] = ()
