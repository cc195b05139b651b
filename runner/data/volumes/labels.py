"""What the values of a label volume stand for: background, foreground, or nothing known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runner.contracts import IGNORE
from runner.data.unmapped import Words, unmapped_problems
from runner.data.volumes.files import read_slabs
from runner.errors import DataError, Problem

LabelPolicy = Literal["ignore", "merge_ignore"]

_MANY = 1000
"""Different unexpected values after which the rest of a volume is not looked at."""

# No class index, and not IGNORE.
_UNEXPECTED = 254


@dataclass(frozen=True)
class LabelRule:
    """How label values become class indices; 0 is background.

    Attributes:
        classes: names of background and foreground.
        foreground: values of the foreground.
        ignore_label: value of the voxels nobody has labelled; None where there is none.
        policy: ``ignore`` leaves those out; ``merge_ignore`` takes them for foreground.
    """

    classes: tuple[str, str]
    foreground: tuple[int, ...]
    ignore_label: int | None
    policy: LabelPolicy

    @property
    def targets(self) -> dict[int, int]:
        """The class index of each value, 255 for what is ignored."""
        known = {0: 0, **dict.fromkeys(self.foreground, 1)}
        if self.ignore_label is not None:
            known[self.ignore_label] = 1 if self.policy == "merge_ignore" else IGNORE
        return known

    def problems(self) -> list[Problem]:
        """Return what contradicts itself."""
        found = []

        def wrong(key: str, message: str) -> None:
            found.append(Problem("", f"data.params.{key}", message))

        if 0 in self.foreground:
            wrong("foreground", "0 is background; leave it out")
        if self.ignore_label in (0, *self.foreground):
            wrong("ignore_label", f"{self.ignore_label} has a class already; name another value")
        if self.ignore_label is None and self.policy == "merge_ignore":
            wrong("label_policy", "there is nothing to merge; set ignore_label, or write ignore")
        if self.classes[0] == self.classes[1]:
            wrong("classes", f"both are called {self.classes[0]!r}; rename one")
        return found


def class_slabs(path: Path, rule: LabelRule) -> Iterator[NDArray[np.uint8]]:
    """Yield a label file as (slices, height, width) uint8 class indices; 255 is ignored.

    Raises: DataError: at its end, every value that the rule does not name, with its voxels; where
        there are very many of them, as soon as that is seen.
    """
    unexpected: dict[float, int] = {}
    for slab in read_slabs(path):
        yield _class_indices(slab, rule, unexpected)
        if len(unexpected) > _MANY:
            break
    if unexpected:
        raise DataError(_unexpected_problems(path, rule, unexpected))


def _class_indices(
    slab: NDArray[Any], rule: LabelRule, unexpected: dict[float, int]
) -> NDArray[np.uint8]:
    indices = np.full(slab.shape, _UNEXPECTED, np.uint8)
    for value, target in rule.targets.items():
        indices[slab == value] = target
    is_unexpected = indices == _UNEXPECTED
    if is_unexpected.any():
        values, counts = np.unique(slab[is_unexpected], return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            unexpected[value] = unexpected.get(value, 0) + count
    return indices


def _unexpected_problems(
    path: Path, rule: LabelRule, unexpected: dict[float, int]
) -> list[Problem]:
    words = Words(
        unit="voxels",
        files="volumes",
        wrong=f"is none of {', '.join(map(str, rule.targets))}",
        cure="add it to data.params.foreground, or set data.params.ignore_label",
        others="such labels",
        doubt="is that an image?",
    )
    return unmapped_problems(path, unexpected, "label {:g}".format, words)
