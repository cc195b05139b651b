"""Surveys of single items added up to the figures of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runner.errors import Problem
from runner.statistics import SplitStatistics
from runner.surveys import Item, Survey, Unit

_AXES = ("depth", "height", "width")

_SMALL_PX, _LARGE_PX = 32.0, 96.0
"""Sides between which COCO calls a box medium."""


@dataclass
class Unmapped:
    """A value of masks that the recipe gives no class.

    Attributes:
        units: that carry it.
        items: masks that hold it.
        first: the first of them.
    """

    units: int = 0
    items: int = 0
    first: str = ""


@dataclass
class Tally:
    """What the items of a split have shown so far; grows by a few numbers an item.

    Attributes:
        classes: names, in the order of their indices.
        unit: what is counted.
        counts: units of each class.
        ignored: units that are labelled as to be ignored.
        shapes: of the images.
        samples: values collected over items, by name.
        items: names of the items.
        identities: of the items.
        looks: perceptual hashes of the items.
        labelled: items whose target may be trained on.
        unmapped: by value, in words.
        problems: of items that cannot be trained on.
    """

    classes: Sequence[str]
    unit: Unit
    counts: NDArray[np.float64] = field(init=False)
    ignored: float = 0.0
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    items: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    looks: list[int | None] = field(default_factory=list)
    labelled: int = 0
    unmapped: dict[str, Unmapped] = field(default_factory=lambda: defaultdict(Unmapped))
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.classes))

    def add(self, item: Item, survey: Survey) -> None:
        """Count an item."""
        self.items.append(item.name)
        self.identities.append(item.identity)
        self.labelled += item.is_labelled
        self.looks.append(survey.looks)
        self.shapes.append(survey.shape)
        self.problems += survey.problems
        for value, units in survey.unmapped.items():
            each = self.unmapped[value]
            each.units, each.items = each.units + units, each.items + 1
            each.first = each.first or item.name
        if survey.problems:
            return
        if survey.counts:
            self.counts += survey.counts
        self.ignored += survey.ignored
        for name, values in survey.samples.items():
            self.samples[name] += values

    def statistics(self) -> SplitStatistics:
        """Return the figures of the split."""
        counts = dict(zip(self.classes, map(float, self.counts), strict=True))
        return SplitStatistics(
            items=len(self.items),
            labelled=self.labelled,
            classes=counts,
            ignored=self.ignored,
            figures=self._figures(),
        )

    def _figures(self) -> dict[str, float]:
        found: dict[str, float] = {}
        labelled = float(self.counts.sum())
        total = labelled + self.ignored
        samples = dict(self.samples)
        if self.unit in ("pixels", "voxels") and total:
            found["ignored_share"] = self.ignored / total
            if len(self.classes) == 2 and labelled:
                found["foreground_share"] = float(self.counts[1]) / labelled
            if "merged_voxels" in samples:
                found["merged_share"] = sum(samples.pop("merged_voxels")) / total
        edges = np.asarray(self.shapes, np.float64).reshape(len(self.shapes), -1)
        unit = "voxels" if self.unit == "voxels" else "px"
        for axis, values in zip(_AXES[-edges.shape[1] :], edges.T, strict=True):
            found |= _spread_of(f"image_{axis}_{unit}", values)
        for name, each in samples.items():
            found |= _spread_of(name, np.asarray(each, np.float64))
        if "box_side_at_size_px" in samples:
            found |= _box_shares(samples)
        return found


def _spread_of(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    """Return the smallest, the middle, the largest and the mean value."""
    if not len(values):
        return {}
    low, median, high = np.quantile(values, (0.05, 0.5, 0.95))
    figures = {
        "min": values.min(), "p5": low, "median": median, "p95": high, "max": values.max(),
        "mean": values.mean(),
    }  # fmt: skip
    return {f"{name}/{key}": float(value) for key, value in figures.items()}


def _box_shares(samples: dict[str, list[float]]) -> dict[str, float]:
    """Return how large boxes are at the size of a sample, in COCO's words, and empty images."""
    sides = np.asarray(samples["box_side_at_size_px"], np.float64)
    empty = np.asarray(samples["boxes_per_image"]) == 0
    found = {"images_without_boxes_share": float(empty.mean())}
    if len(sides):
        is_small, is_large = sides < _SMALL_PX, sides >= _LARGE_PX
        found["small_boxes_share"] = float(is_small.mean())
        found["medium_boxes_share"] = float((~is_small & ~is_large).mean())
        found["large_boxes_share"] = float(is_large.mean())
    return found
